using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cpu;

public sealed unsafe partial class CpuBackend
{
    /// <inheritdoc/>
    public override void RelativeBiasForward(Tensor bias, ParameterBlock weight, bool bidirectional, int maxDistance)
    {
        const string Operation = nameof(RelativeBiasForward);
        NoteLaunch();
        View table = new(weight.Value, Operation);
        View y = new(bias, Operation);
        (int heads, int queries) = RelativeBiasShape(bias, weight.Value, Operation);
        for (int query = 0; query < queries; query++)
        {
            for (int key = 0; key < y.Columns; key++)
            {
                float* values = table.Row(RelativeBucket(key - query, table.Rows, bidirectional, maxDistance));
                for (int head = 0; head < heads; head++)
                {
                    y.Row(((long)head * queries) + query)[key] = values[head];
                }
            }
        }
    }

    /// <inheritdoc/>
    public override void RelativeBiasBackward(Tensor dweight, Tensor dbias, bool bidirectional, int maxDistance)
    {
        const string Operation = nameof(RelativeBiasBackward);
        NoteLaunch();
        View table = new(dweight, Operation);
        View dy = new(dbias, Operation);
        (int heads, int queries) = RelativeBiasShape(dbias, dweight, Operation);
        for (int query = 0; query < queries; query++)
        {
            for (int key = 0; key < dy.Columns; key++)
            {
                float* values = table.Row(RelativeBucket(key - query, table.Rows, bidirectional, maxDistance));
                for (int head = 0; head < heads; head++)
                {
                    values[head] += dy.Row(((long)head * queries) + query)[key];
                }
            }
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
