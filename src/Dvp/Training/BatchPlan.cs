using Dvp.Engine;

namespace Dvp.Training;

/// <summary>
/// The order of the examples: a function of seed and step alone, so that a resumed run draws what the interrupted one would have.
/// </summary>
/// <remarks>
/// Every epoch is a new permutation. Within a window of several batches, examples are sorted by length and equal texts are put together before
/// they are cut into batches, and the batches are shuffled again: texts of one batch are about equally long, so little padding is computed,
/// and many are the same, so the layers below the prompt compute them once. What does not fill the
/// last batch of an epoch goes to no batch of that epoch.
/// </remarks>
public sealed class BatchPlan
{
    private const int WindowBatches = 16;
    private const int WindowExamples = 256;
    private readonly TrainingSet _set;
    private readonly ulong _seed;
    private readonly SeededRandom _random = new(0);
    private readonly int[] _order;
    private readonly long[] _keys;
    private long _epoch = -1;

    /// <summary>Makes the plan of a set.</summary>
    /// <param name="set">The examples.</param>
    /// <param name="batch">Examples a batch; a set smaller than that is drawn with repetition over epochs.</param>
    /// <param name="seed">Seed of all permutations.</param>
    public BatchPlan(TrainingSet set, int batch, ulong seed)
    {
        if (set.Count == 0)
        {
            throw new DvpException("There is no example to train on; check the data folder and the answer vocabulary.");
        }

        _set = set;
        _seed = seed;
        Batch = Math.Min(batch, set.Count);
        BatchesPerEpoch = set.Count / Batch;
        _order = new int[set.Count];
        _keys = new long[set.Count];
    }

    /// <summary>Examples a batch.</summary>
    public int Batch { get; }

    /// <summary>Batches an epoch.</summary>
    public int BatchesPerEpoch { get; }

    /// <summary>The examples of batch number <paramref name="index"/>, counted from the start of training.</summary>
    public ReadOnlySpan<int> Examples(long index)
    {
        long epoch = index / BatchesPerEpoch;
        if (epoch != _epoch)
        {
            Permute(epoch);
        }

        return _order.AsSpan((int)(index % BatchesPerEpoch) * Batch, Batch);
    }

    private void Permute(long epoch)
    {
        _random.Restart(new SeededRandomState(_seed, checked((uint)epoch), 0));
        for (int i = 0; i < _order.Length; i++)
        {
            _order[i] = i;
        }

        _random.Shuffle<int>(_order);
        int window = Math.Max(WindowBatches, WindowExamples / Batch) * Batch;
        uint salt = _random.NextWord(); // another order of the texts in every epoch
        for (int start = 0; start < _order.Length; start += window)
        {
            int count = Math.Min(window, _order.Length - start);
            for (int i = 0; i < count; i++)
            {
                int example = _order[start + i];
                uint text = ((uint)_set.Text(example) * 2654435761u) ^ salt;
                text *= 2246822519u;
                _keys[i] = ((long)_set.Tokens(example).Length << 48) | ((long)(text >> 12) << 28) | (uint)i; // the place in the permutation breaks ties
            }

            _keys.AsSpan(0, count).Sort(_order.AsSpan(start, count));
        }

        ShuffleBatches();
        _epoch = epoch;
    }

    private void ShuffleBatches()
    {
        Span<int> held = stackalloc int[Math.Min(Batch, 1024)];
        for (int i = BatchesPerEpoch - 1; i > 0; i--)
        {
            int j = _random.NextInt(i + 1);
            Span<int> a = _order.AsSpan(i * Batch, Batch);
            Span<int> b = _order.AsSpan(j * Batch, Batch);
            for (int from = 0; from < Batch; from += held.Length)
            {
                int n = Math.Min(held.Length, Batch - from);
                a.Slice(from, n).CopyTo(held);
                b.Slice(from, n).CopyTo(a[from..]);
                held[..n].CopyTo(b[from..]);
            }
        }
    }
}
