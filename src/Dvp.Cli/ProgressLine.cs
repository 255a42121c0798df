using System.Diagnostics;

namespace Dvp.Cli;

/// <summary>One line that says how far long work is.</summary>
/// <param name="writer">Where to.</param>
/// <param name="overwrite">Whether the line is written over the one before; else lines follow each other at intervals.</param>
internal sealed class ProgressLine(TextWriter writer, bool overwrite)
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(5);
    private long _last;
    private bool _open;

    /// <summary>Shows the state.</summary>
    /// <param name="text">One line without its end.</param>
    /// <param name="important">Whether the line must stay where it is read later.</param>
    public void Show(string text, bool important)
    {
        if (overwrite)
        {
            writer.Write($"\r{text}\x1b[K");
            writer.Flush();
            _open = true;
            if (important)
            {
                End();
            }
        }
        else if (important || _last == 0 || Stopwatch.GetElapsedTime(_last) >= s_interval)
        {
            writer.WriteLine(text);
            _last = important ? _last : Stopwatch.GetTimestamp();
        }
    }

    /// <summary>Leaves the line on the terminal and goes to the next one.</summary>
    public void End()
    {
        if (_open)
        {
            writer.WriteLine();
            _open = false;
        }
    }
}
