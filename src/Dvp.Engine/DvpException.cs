namespace Dvp.Engine;

/// <summary>
/// An error that the user can mend: a wrong file, shape, flag or device. The message is one clear sentence that names the
/// thing and says what to do; the command line prints it without a stack trace and exits with <see cref="ExitCode"/>.
/// </summary>
public class DvpException : Exception
{
    /// <summary>Makes an error with the message that the user will read.</summary>
    /// <param name="message">One sentence: what is wrong, with which file, tensor or flag, and what to do.</param>
    /// <param name="inner">The cause, shown with <c>--verbose</c> only.</param>
    /// <param name="exitCode">Process exit code, see <see cref="DvpExitCode"/>.</param>
    public DvpException(string message, Exception? inner = null, DvpExitCode exitCode = DvpExitCode.BadInput)
        : base(message, inner) => ExitCode = exitCode;

    /// <summary>The process exit code that this error ends a command with.</summary>
    public DvpExitCode ExitCode { get; }
}

/// <summary>The exit codes of <c>dvp</c>.</summary>
public enum DvpExitCode
{
    /// <summary>Done.</summary>
    Success = 0,

    /// <summary>A comparison or check found a difference (<c>diff</c>, <c>inspect</c>, <c>doctor</c>).</summary>
    Difference = 1,

    /// <summary>A file, a value or a flag is wrong.</summary>
    BadInput = 2,

    /// <summary>The device asked for is not there, or it failed.</summary>
    NoDevice = 3,

    /// <summary>Stopped by Ctrl-C after the state was saved.</summary>
    Interrupted = 130,
}
