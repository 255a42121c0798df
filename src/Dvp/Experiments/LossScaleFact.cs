using Dvp.Reporting;
using Dvp.Training;

namespace Dvp.Experiments;

/// <summary>What a report says of the loss scale: nothing, unless the device computed in f16.</summary>
internal static class LossScaleFact
{
    /// <summary>The scale at the end of a phase and the steps that it skipped.</summary>
    public static IEnumerable<ReportFact> Of(string phase, RunState state) =>
        state.LossScale is { } scale ? [new ReportFact($"loss scale after {phase}", scale.ToString())] : [];
}
