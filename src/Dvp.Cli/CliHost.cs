namespace Dvp.Cli;

/// <summary>The surroundings of one run of the tool.</summary>
/// <param name="Out">Results.</param>
/// <param name="Error">Errors, and progress where results must stay clean.</param>
/// <param name="Terminal">Whether a person looks at <paramref name="Out"/>.</param>
internal sealed record CliHost(TextWriter Out, TextWriter Error, bool Terminal)
{
    /// <summary>Whether colour may be used: on a terminal, unless NO_COLOR is set to anything but nothing.</summary>
    public bool Colour => Terminal && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"));
}
