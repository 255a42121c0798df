using System.Diagnostics;

namespace Dvp.Experiments;

/// <summary>Seconds by phase.</summary>
public sealed class PhaseClock
{
    private readonly List<(string Name, double Seconds)> _phases = [];

    /// <summary>Called when a phase begins.</summary>
    public Action<string>? OnPhase { get; set; }

    /// <summary>The phases that have ended, in order.</summary>
    public IReadOnlyList<(string Name, double Seconds)> Phases => _phases;

    /// <summary>Sum of all phases.</summary>
    public double Total => _phases.Sum(p => p.Seconds);

    /// <summary>Runs a phase.</summary>
    public T Measure<T>(string name, Func<T> phase)
    {
        OnPhase?.Invoke(name);
        long start = Stopwatch.GetTimestamp();
        T result = phase();
        _phases.Add((name, Stopwatch.GetElapsedTime(start).TotalSeconds));
        return result;
    }
}
