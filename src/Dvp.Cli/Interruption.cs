using System.Runtime.InteropServices;

namespace Dvp.Cli;

/// <summary>
/// Ctrl-C of a command that can stop in good order: the first one asks for it, the second one ends the process at once. A request to
/// terminate (as container managers send it) counts as a first Ctrl-C.
/// </summary>
internal sealed class Interruption : IDisposable
{
    private readonly CancellationTokenSource _source = new();
    private readonly PosixSignalRegistration[] _registrations;
    private readonly TextWriter _writer;

    /// <summary>Listens from now on.</summary>
    /// <param name="host">Where the answer to a Ctrl-C is printed.</param>
    public Interruption(CliHost host)
    {
        _writer = host.Error;
        _registrations =
        [
            PosixSignalRegistration.Create(PosixSignal.SIGINT, Handle),
            PosixSignalRegistration.Create(PosixSignal.SIGTERM, Handle),
        ];
    }

    /// <summary>Cancelled by the first Ctrl-C.</summary>
    public CancellationToken Token => _source.Token;

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (PosixSignalRegistration registration in _registrations)
        {
            registration.Dispose();
        }

        _source.Dispose();
    }

    private void Handle(PosixSignalContext context)
    {
        if (_source.IsCancellationRequested)
        {
            return; // not handled: the process ends
        }

        context.Cancel = true;
        _writer.WriteLine();
        _writer.WriteLine("Stopping after this step and saving; press Ctrl-C again to end at once.");
        _source.Cancel();
    }
}
