using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Dvp.Profiling;

/// <summary>The stretches of a model that costs are summed over.</summary>
public enum FlopsPart
{
    /// <summary>The vision transformer; not needed where features are cached.</summary>
    VisualEncoder,

    /// <summary>Token embeddings.</summary>
    Embeddings,

    /// <summary>Layers below K: text alone.</summary>
    Prefix,

    /// <summary>What makes prompt tokens of visual tokens.</summary>
    Prompt,

    /// <summary>Layers from K on, but for the last.</summary>
    Suffix,

    /// <summary>The last layer, of which one row is read.</summary>
    LastLayer,

    /// <summary>The classifier.</summary>
    Head,

    /// <summary>The update of what trains.</summary>
    Optimizer,
}

/// <summary>What one op costs for a whole batch, summed over the layers of its part.</summary>
/// <param name="Part">The part of the model.</param>
/// <param name="Op">What is computed.</param>
/// <param name="Count">How often: the number of layers.</param>
/// <param name="ForwardFlops">Two for each multiply-add of a matrix product; element-wise work counts 0.</param>
/// <param name="ForwardBytes">Inputs and weights read once, outputs written once.</param>
/// <param name="BackwardFlops">Of the gradients that training needs; 0 where nothing trains.</param>
/// <param name="BackwardBytes">As forward.</param>
/// <param name="Parameters">Weights read.</param>
/// <param name="TrainedParameters">Those among them that train.</param>
public sealed record FlopsRow(
    FlopsPart Part, string Op, int Count,
    long ForwardFlops, long ForwardBytes, long BackwardFlops, long BackwardBytes,
    long Parameters, long TrainedParameters)
{
    /// <summary>Forward and backward FLOPs.</summary>
    public long Flops => ForwardFlops + BackwardFlops;

    /// <summary>Forward and backward bytes.</summary>
    public long Bytes => ForwardBytes + BackwardBytes;

    /// <summary>The least time that a machine needs: the longer of arithmetic and memory traffic.</summary>
    /// <param name="flopsPerSecond">Rate of its matrix products.</param>
    /// <param name="bytesPerSecond">Rate of its memory.</param>
    public double FloorSeconds(double flopsPerSecond, double bytesPerSecond) => Math.Max(Flops / flopsPerSecond, Bytes / bytesPerSecond);
}

/// <summary>The analytic costs of one pass, op by op.</summary>
/// <param name="Name">What was counted.</param>
/// <param name="Batch">B, the samples that the rows are for.</param>
/// <param name="Rows">The ops in the order of execution.</param>
public sealed record FlopsTable(string Name, int Batch, IReadOnlyList<FlopsRow> Rows)
{
    /// <summary>FLOPs of the forward pass.</summary>
    public long ForwardFlops => Rows.Sum(r => r.ForwardFlops);

    /// <summary>FLOPs of the backward pass; 0 for inference.</summary>
    public long BackwardFlops => Rows.Sum(r => r.BackwardFlops);

    /// <summary>FLOPs of both.</summary>
    public long Flops => ForwardFlops + BackwardFlops;

    /// <summary>Bytes of both.</summary>
    public long Bytes => Rows.Sum(r => r.Bytes);

    /// <summary>Weights of the model as far as it is used.</summary>
    public long Parameters => Rows.Sum(r => r.Parameters);

    /// <summary>Those that train.</summary>
    public long TrainedParameters => Rows.Sum(r => r.TrainedParameters);

    /// <summary>Forward FLOPs of some parts.</summary>
    /// <param name="parts">The parts.</param>
    public long ForwardFlopsOf(params ReadOnlySpan<FlopsPart> parts)
    {
        long sum = 0;
        foreach (FlopsRow row in Rows)
        {
            sum += parts.Contains(row.Part) ? row.ForwardFlops : 0;
        }

        return sum;
    }

    /// <summary>The row of an op.</summary>
    /// <param name="part">Its part.</param>
    /// <param name="op">Its name.</param>
    /// <exception cref="KeyNotFoundException">There is none.</exception>
    public FlopsRow Row(FlopsPart part, string op) =>
        Rows.FirstOrDefault(r => r.Part == part && r.Op == op) ?? throw new KeyNotFoundException($"no op '{op}' in {part}");

    /// <summary>The least time that a machine needs, op after op.</summary>
    /// <param name="flopsPerSecond">Rate of its matrix products.</param>
    /// <param name="bytesPerSecond">Rate of its memory.</param>
    public double FloorSeconds(double flopsPerSecond, double bytesPerSecond) =>
        Rows.Sum(r => r.FloorSeconds(flopsPerSecond, bytesPerSecond));

    /// <summary>The table as text of fixed columns, per sample.</summary>
    public string ToText()
    {
        bool training = BackwardFlops > 0;
        StringBuilder text = new();
        text.Append(CultureInfo.InvariantCulture, $"{Name}\nper sample, batch {Batch}; MFLOP of matrix products, MB moved\n");
        text.Append(CultureInfo.InvariantCulture, $"{"part",-14} {"op",-26} {"x",3} {"forward",10} {"MB",9}");
        text.Append(training ? $" {"backward",10} {"MB",9}" : string.Empty).Append($" {"share",6}\n");
        foreach (FlopsRow row in Rows)
        {
            Line(
                text, PartName(row.Part), row.Op, row.Count.ToString(CultureInfo.InvariantCulture),
                row.ForwardFlops, row.ForwardBytes, row.BackwardFlops, row.BackwardBytes, training);
        }

        Line(
            text, "total", string.Empty, string.Empty,
            ForwardFlops, Rows.Sum(r => r.ForwardBytes), BackwardFlops, Rows.Sum(r => r.BackwardBytes), training);
        return text.ToString();
    }

    /// <summary>Writes name, batch, totals and rows as a JSON object.</summary>
    /// <param name="writer">Where to.</param>
    public void WriteJson(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("name", Name);
        writer.WriteNumber("batch", Batch);
        writer.WriteNumber("forward_flops", ForwardFlops);
        writer.WriteNumber("backward_flops", BackwardFlops);
        writer.WriteNumber("bytes", Bytes);
        writer.WriteNumber("parameters", Parameters);
        writer.WriteNumber("trained_parameters", TrainedParameters);
        writer.WriteStartArray("ops");
        foreach (FlopsRow row in Rows)
        {
            writer.WriteStartObject();
            writer.WriteString("part", PartName(row.Part));
            writer.WriteString("op", row.Op);
            writer.WriteNumber("count", row.Count);
            writer.WriteNumber("forward_flops", row.ForwardFlops);
            writer.WriteNumber("forward_bytes", row.ForwardBytes);
            writer.WriteNumber("backward_flops", row.BackwardFlops);
            writer.WriteNumber("backward_bytes", row.BackwardBytes);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    /// <summary>A part's name in tables.</summary>
    /// <param name="part">The part.</param>
    public static string PartName(FlopsPart part) => part switch
    {
        FlopsPart.VisualEncoder => "visual encoder",
        FlopsPart.Embeddings => "embeddings",
        FlopsPart.Prefix => "layers < K",
        FlopsPart.Prompt => "prompt",
        FlopsPart.Suffix => "layers >= K",
        FlopsPart.LastLayer => "last layer",
        FlopsPart.Head => "head",
        _ => "optimizer",
    };

    private void Line(
        StringBuilder text, string part, string op, string count,
        long forward, long forwardBytes, long backward, long backwardBytes, bool training)
    {
        double mega = 1e6 * Batch;
        text.Append(CultureInfo.InvariantCulture, $"{part,-14} {op,-26} {count,3} {forward / mega,10:F2} {forwardBytes / mega,9:F2}");
        if (training)
        {
            text.Append(CultureInfo.InvariantCulture, $" {backward / mega,10:F2} {backwardBytes / mega,9:F2}");
        }

        text.Append(CultureInfo.InvariantCulture, $" {100.0 * (forward + backward) / Math.Max(1, Flops),5:F1}%\n");
    }
}
