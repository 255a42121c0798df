using Dvp.Engine.Devices.Cpu;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

public sealed partial class CudaBackend
{
    // The first distance of each bucket, on the device, for every bucketing that was asked for: made once, so that a recorded step reads it.
    private readonly Dictionary<(int Buckets, bool Bidirectional, int MaxDistance), Tensor> _relativeBuckets = [];

    /// <summary>bias = weight[bucket(key - query)]; see kernels/relative_bias.cu.</summary>
    public override void RelativeBiasForward(Tensor bias, ParameterBlock weight, bool bidirectional, int maxDistance)
    {
        const string Operation = nameof(RelativeBiasForward);
        (int heads, int queries, int keys, int buckets, int wide) = RelativeBiasSizes(Operation, bias, weight.Value);
        Tensor first = FirstDistances(buckets, bidirectional, maxDistance);

        Kernel("relative_bias_forward", "relative_bias", _real).Launch(
            queries, 128, 0, bias, Form(weight), first, heads, queries, keys, buckets, bidirectional ? 1 : 0, wide);
    }

    /// <summary>dweight += sums of dbias over the positions of each bucket; see kernels/relative_bias.cu.</summary>
    public override void RelativeBiasBackward(Tensor dweight, Tensor dbias, bool bidirectional, int maxDistance)
    {
        const string Operation = nameof(RelativeBiasBackward);
        (int heads, int queries, int keys, int buckets, int wide) = RelativeBiasSizes(Operation, dbias, dweight);
        Tensor first = FirstDistances(buckets, bidirectional, maxDistance);

        Kernel("relative_bias_backward", "relative_bias", _real).Launch(
            heads, 256, 0, dweight, dbias, first, heads, queries, keys, buckets, bidirectional ? 1 : 0, wide);
    }

    private (int Heads, int Queries, int Keys, int Buckets, int Wide) RelativeBiasSizes(string operation, Tensor bias, Tensor weight)
    {
        CudaShapes.Require(bias.Shape.Length == 3 && weight.Columns == bias.Extent(0) && weight.IsContiguous, operation, bias, weight);
        return (bias.Extent(0), bias.Extent(1), bias.Extent(2), weight.Rows, WideElements(bias, operation));
    }

    /// <summary>For each bucket of one direction the least distance that lies in it or beyond; int.MaxValue where none does.</summary>
    private Tensor FirstDistances(int buckets, bool bidirectional, int maxDistance)
    {
        if (_relativeBuckets.TryGetValue((buckets, bidirectional, maxDistance), out Tensor? known))
        {
            return known;
        }

        int[] first = new int[buckets];
        Array.Fill(first, int.MaxValue);
        int bucket = 0;
        for (int distance = 0; distance <= Math.Max(maxDistance, buckets); distance++)
        {
            // Keys before the query: their buckets are the lower half, or all.
            for (int reached = CpuBackend.RelativeBucket(-distance, buckets, bidirectional, maxDistance); bucket <= reached; bucket++)
            {
                first[bucket] = distance;
            }
        }

        Tensor table = new(Allocate(buckets * sizeof(int)), 0, ElementType.I32, [buckets]);
        Upload(table, first);
        _relativeBuckets.Add((buckets, bidirectional, maxDistance), table);
        return table;
    }

    private void DisposeRelativeBuckets()
    {
        foreach (Tensor table in _relativeBuckets.Values)
        {
            table.Buffer.Dispose();
        }

        _relativeBuckets.Clear();
    }
}
