namespace Dvp.Profiling;

/// <summary>One size of an operator: rows, inputs, heads.</summary>
/// <param name="Name">What it counts.</param>
/// <param name="Value">The number.</param>
public readonly record struct OpSize(string Name, int Value);

/// <summary>One operator at one shape.</summary>
/// <param name="Op">linear_forward, attention_backward.</param>
/// <param name="Sizes">Its shape; a peer that is given these sizes does the same work.</param>
/// <param name="Flops">Floating-point operations, a multiply-add being two.</param>
/// <param name="Bytes">Bytes that have to be moved if every operand is read and every result written once.</param>
public sealed record OpCase(string Op, IReadOnlyList<OpSize> Sizes, double Flops, double Bytes)
{
    /// <summary>Operator and sizes in one line.</summary>
    public string Name => $"{Op} {string.Join(' ', Sizes.Select(s => $"{s.Name}={s.Value}"))}";

    /// <summary>Makes the operands on a device and the call of the operator on them.</summary>
    internal Func<OpOperands, Action> Prepare { get; init; } = _ => throw new InvalidOperationException("This row only describes an operator.");
}

/// <summary>One measured operator.</summary>
/// <param name="Case">What ran.</param>
/// <param name="Median">Seconds of one call, the median over the runs; 0 where the row is refused.</param>
/// <param name="P95">Seconds, the 95 % quantile; 0 where the row is refused.</param>
/// <param name="Runs">Runs, each with <paramref name="Sets"/> calls.</param>
/// <param name="Sets">Sets of operands that one run goes through, together larger than the cache.</param>
/// <param name="Floor">Seconds that bytes and operations need at the measured roofline.</param>
/// <param name="Drift">Largest change of the multiply-add rate from before to after the row: what the clock did meanwhile.</param>
/// <param name="Refused">Why the row has no time; null where it has one.</param>
public sealed record OpRow(OpCase Case, double Median, double P95, int Runs, int Sets, double Floor, double Drift, string? Refused)
{
    /// <summary>Seconds that cuBLASLt takes for the same product, the median over the runs; null where it was not measured.</summary>
    public double? CublasLt { get; init; }

    /// <summary>The floor over the time: 1 is the best there is.</summary>
    public double RooflineShare => Median > 0 ? Floor / Median : 0;
}

/// <summary>What a benchmark of operators measured.</summary>
/// <param name="Device">The device.</param>
/// <param name="Type">Storage type of activations and weights.</param>
/// <param name="CopyBytesPerSecond">Measured: bytes read and written by a copy that no cache holds.</param>
/// <param name="FlopsPerSecond">Measured: multiply-adds on registers, two operations each.</param>
/// <param name="Rows">The operators.</param>
public sealed record OpReport(string Device, string Type, double CopyBytesPerSecond, double FlopsPerSecond, IReadOnlyList<OpRow> Rows);
