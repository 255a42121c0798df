using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cpu;

public sealed unsafe partial class CpuBackend
{
    // A head's bias depends on key - query alone: one line of Tq + Tk - 1 values has them all, and every row of the bias is a window of it.
    private struct RelativeBiasContext
    {
        internal View Table;
        internal View Bias;
        internal int Queries;
        internal bool Bidirectional;
        internal int MaxDistance;

        internal readonly int Distances => Queries + Bias.Columns - 1;

        /// <summary>The weights that a place of the line stands for.</summary>
        internal readonly float* Bucket(int place) =>
            Table.Row(RelativeBucket(place - (Queries - 1), Table.Rows, Bidirectional, MaxDistance));

        /// <summary>A row of a head: Tk values.</summary>
        internal readonly float* Row(int head, int query) => Bias.Row(((long)head * Queries) + query);

        /// <summary>Its window of the line.</summary>
        internal readonly float* Window(float* line, int query) => line + (Queries - 1 - query);
    }

    /// <inheritdoc/>
    public override void RelativeBiasForward(Tensor bias, ParameterBlock weight, bool bidirectional, int maxDistance) =>
        RelativeBias(bias, weight.Value, bidirectional, maxDistance, nameof(RelativeBiasForward), &RelativeBiasForwardBody);

    /// <inheritdoc/>
    public override void RelativeBiasBackward(Tensor dweight, Tensor dbias, bool bidirectional, int maxDistance) =>
        RelativeBias(dbias, dweight, bidirectional, maxDistance, nameof(RelativeBiasBackward), &RelativeBiasBackwardBody);

    private void RelativeBias(
        Tensor bias, Tensor weight, bool bidirectional, int maxDistance, string operation, delegate*<void*, int, void> body)
    {
        NoteLaunch();
        (int heads, int queries) = RelativeBiasShape(bias, weight, operation);
        RelativeBiasContext c = new()
        {
            Table = new View(weight, operation),
            Bias = new View(bias, operation),
            Queries = queries,
            Bidirectional = bidirectional,
            MaxDistance = maxDistance,
        };
        Run(heads, body, &c);
    }

    private static void RelativeBiasForwardBody(void* context, int head)
    {
        ref RelativeBiasContext c = ref *(RelativeBiasContext*)context;
        float* line = CpuScratch.Floats(c.Distances);
        for (int place = 0; place < c.Distances; place++)
        {
            line[place] = c.Bucket(place)[head];
        }

        for (int query = 0; query < c.Queries; query++)
        {
            new Span<float>(c.Window(line, query), c.Bias.Columns).CopyTo(new Span<float>(c.Row(head, query), c.Bias.Columns));
        }
    }

    private static void RelativeBiasBackwardBody(void* context, int head)
    {
        ref RelativeBiasContext c = ref *(RelativeBiasContext*)context;
        float* line = CpuScratch.Floats(c.Distances);
        new Span<float>(line, c.Distances).Clear();
        for (int query = 0; query < c.Queries; query++)
        {
            CpuRows.Add(c.Window(line, query), c.Row(head, query), c.Bias.Columns);
        }

        for (int place = 0; place < c.Distances; place++)
        {
            c.Bucket(place)[head] += line[place];
        }
    }

    private static (int Heads, int Queries) RelativeBiasShape(Tensor bias, Tensor weight, string operation)
    {
        Require(bias.Shape.Length == 3 && weight.Columns == bias.Extent(0), operation, bias, weight);
        return (bias.Extent(0), bias.Extent(1));
    }

    /// <summary>
    /// The bucket of a distance (T5, Raffel et al. 2020): near distances have their own, far ones share buckets
    /// that grow with the logarithm.
    /// </summary>
    /// <param name="distance">Key position minus query position.</param>
    /// <param name="buckets">All buckets.</param>
    /// <param name="bidirectional">Half of the buckets for keys after the query; otherwise those share bucket 0.</param>
    /// <param name="maxDistance">Distance from which on all share the last bucket.</param>
    internal static int RelativeBucket(int distance, int buckets, bool bidirectional, int maxDistance)
    {
        int first = 0;
        if (bidirectional)
        {
            buckets /= 2;
            first = distance > 0 ? buckets : 0;
            distance = Math.Abs(distance);
        }
        else
        {
            distance = -Math.Min(distance, 0);
        }

        int exact = buckets / 2;
        if (distance < exact)
        {
            return first + distance;
        }

        double position = Math.Log((double)distance / exact) / Math.Log((double)maxDistance / exact);
        return first + Math.Min(exact + (int)(position * (buckets - exact)), buckets - 1);
    }
}
