using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Tests.Oracle;

public sealed unsafe partial class ReferenceBackend
{
    /// <summary>This device keeps the probabilities (B, H, Tq, Tk) before dropout.</summary>
    public override int AttentionSavedElements(int batch, int heads, int queries, int keys) => batch * heads * queries * keys;

    /// <inheritdoc/>
    public override void AttentionForward(Tensor context, Tensor? saved, Tensor q, Tensor k, Tensor v, AttentionOptions options)
    {
        Launched();
        AttentionSizes sizes = new(q, k, v, options);
        RequireSame(context, q);
        double[] query = Load(q);
        double[] key = Load(k);
        double[] value = Load(v);
        double[] probabilities = new double[sizes.Scores];
        double[]? bias = options.Bias is null ? null : Load(options.Bias);
        bool[] visible = sizes.Visible(options);
        foreach ((int b, int h, int i) in sizes.Queries())
        {
            Span<double> row = probabilities.AsSpan(sizes.Score(b, h, i, 0), sizes.Keys);
            for (int j = 0; j < sizes.Keys; j++)
            {
                double score = 0;
                for (int d = 0; d < sizes.HeadSize; d++)
                {
                    score += query[sizes.Query(b, i, h) + d] * key[sizes.Key(b, j, h) + d];
                }

                score = (score * options.Scale) + (bias?[(((h * sizes.QueryCount) + i) * sizes.Keys) + j] ?? 0);
                row[j] = visible[sizes.Visibility(b, i, j)] ? score : double.NegativeInfinity;
            }

            Softmax(row);
        }

        double[] factors = Factors(options.Dropout, probabilities.Length);
        double[] result = new double[query.Length];
        foreach ((int b, int h, int i) in sizes.Queries())
        {
            for (int j = 0; j < sizes.Keys; j++)
            {
                double p = probabilities[sizes.Score(b, h, i, j)] * factors[sizes.Score(b, h, i, j)];
                for (int d = 0; d < sizes.HeadSize; d++)
                {
                    result[sizes.Query(b, i, h) + d] += p * value[sizes.Key(b, j, h) + d];
                }
            }
        }

        if (saved is not null)
        {
            Store(saved, probabilities);
        }

        Store(context, result);
    }

    /// <inheritdoc/>
    public override void AttentionBackward(
        Tensor? dq, Tensor? dk, Tensor? dv, Tensor? dbias, Tensor dcontext, Tensor context, Tensor saved,
        Tensor q, Tensor k, Tensor v, AttentionOptions options)
    {
        Launched();
        AttentionSizes sizes = new(q, k, v, options);
        RequireSame(dcontext, q);
        RequireSame(context, q);
        double[] query = Load(q);
        double[] key = Load(k);
        double[] value = Load(v);
        double[] d = Load(dcontext);
        double[] probabilities = Load(saved);
        double[] factors = Factors(options.Dropout, probabilities.Length);
        double[] toQuery = new double[query.Length];
        double[] toKey = new double[key.Length];
        double[] toValue = new double[value.Length];
        double[] toBias = new double[options.Heads * sizes.QueryCount * sizes.Keys];
        double[] dp = new double[sizes.Keys];
        foreach ((int b, int h, int i) in sizes.Queries())
        {
            double mean = 0;
            for (int j = 0; j < sizes.Keys; j++)
            {
                int at = sizes.Score(b, h, i, j);
                double product = 0;
                for (int c = 0; c < sizes.HeadSize; c++)
                {
                    product += d[sizes.Query(b, i, h) + c] * value[sizes.Key(b, j, h) + c];
                    toValue[sizes.Key(b, j, h) + c] += probabilities[at] * factors[at] * d[sizes.Query(b, i, h) + c];
                }

                dp[j] = product * factors[at];
                mean += probabilities[at] * dp[j];
            }

            for (int j = 0; j < sizes.Keys; j++)
            {
                double ds = probabilities[sizes.Score(b, h, i, j)] * (dp[j] - mean);
                toBias[(((h * sizes.QueryCount) + i) * sizes.Keys) + j] += ds;
                for (int c = 0; c < sizes.HeadSize; c++)
                {
                    toQuery[sizes.Query(b, i, h) + c] += ds * options.Scale * key[sizes.Key(b, j, h) + c];
                    toKey[sizes.Key(b, j, h) + c] += ds * options.Scale * query[sizes.Query(b, i, h) + c];
                }
            }
        }

        StoreIfWanted(dq, toQuery, accumulate: false);
        StoreIfWanted(dk, toKey, accumulate: false);
        StoreIfWanted(dv, toValue, accumulate: false);
        StoreIfWanted(dbias, toBias, accumulate: true);
    }

    private static void StoreIfWanted(Tensor? y, double[] values, bool accumulate)
    {
        if (y is not null)
        {
            Store(y, values, accumulate);
        }
    }

    /// <summary>Softmax in place; a row of minus infinities becomes zeros.</summary>
    private static void Softmax(Span<double> row)
    {
        double max = double.NegativeInfinity;
        foreach (double score in row)
        {
            max = Math.Max(max, score);
        }

        if (double.IsNegativeInfinity(max))
        {
            row.Clear();
            return;
        }

        double sum = 0;
        for (int i = 0; i < row.Length; i++)
        {
            row[i] = Math.Exp(row[i] - max);
            sum += row[i];
        }

        for (int i = 0; i < row.Length; i++)
        {
            row[i] /= sum;
        }
    }

    /// <summary>Sizes of an attention and the places of its elements.</summary>
    private sealed class AttentionSizes
    {
        private readonly int _batch;
        private readonly int _heads;
        private readonly int _keyHeads;

        internal AttentionSizes(Tensor q, Tensor k, Tensor v, AttentionOptions options)
        {
            (_batch, _heads, _keyHeads) = (q.Extent(0), options.Heads, options.KeyHeads);
            (QueryCount, Keys, HeadSize) = (q.Extent(1), k.Extent(1), q.Columns / options.Heads);
            RequireSame(k, v);
            Require(k.Extent(0) == _batch, $"A query {q} and a key {k} have different batches.");
            Require(q.Columns == HeadSize * _heads && k.Columns == HeadSize * _keyHeads, $"{q} and {k} do not fit their heads.");
            Require(options.KeyLengths is null || options.KeyLengths.Count == _batch, "Key lengths do not fit the batch.");
            Require(options.KeyMask is null || options.KeyMask.Count == _batch * Keys, "A key mask does not fit the keys.");
            Require(options.Bias is null || options.Bias.Count == _heads * QueryCount * Keys, "A bias does not fit the scores.");
            Require(_heads % _keyHeads == 0, $"{_keyHeads} key heads do not divide {_heads} heads.");
        }

        internal int QueryCount { get; }

        internal int Keys { get; }

        internal int HeadSize { get; }

        internal int Scores => _batch * _heads * QueryCount * Keys;

        internal IEnumerable<(int Batch, int Head, int Query)> Queries() =>
            from b in Enumerable.Range(0, _batch)
            from h in Enumerable.Range(0, _heads)
            from i in Enumerable.Range(0, QueryCount)
            select (b, h, i);

        internal int Score(int b, int h, int i, int j) => (((((b * _heads) + h) * QueryCount) + i) * Keys) + j;

        internal int Visibility(int b, int i, int j) => (((b * QueryCount) + i) * Keys) + j;

        internal int Query(int b, int i, int h) => (((b * QueryCount) + i) * _heads * HeadSize) + (h * HeadSize);

        internal int Key(int b, int j, int h) =>
            (((b * Keys) + j) * _keyHeads * HeadSize) + (h / (_heads / _keyHeads) * HeadSize);

        /// <summary>(B, Tq, Tk) whether a query sees a key.</summary>
        internal bool[] Visible(AttentionOptions options)
        {
            int[]? mask = options.KeyMask is null ? null : Integers(options.KeyMask);
            int[]? lengths = options.KeyLengths is null ? null : Integers(options.KeyLengths);
            bool[] visible = new bool[_batch * QueryCount * Keys];
            for (int b = 0; b < _batch; b++)
            {
                for (int i = 0; i < QueryCount; i++)
                {
                    for (int j = 0; j < Keys; j++)
                    {
                        visible[Visibility(b, i, j)] =
                            (mask is null || mask[(b * Keys) + j] != 0)
                            && (lengths is null || j < lengths[b])
                            && (!options.Causal || j <= i + Keys - QueryCount);
                    }
                }
            }

            return visible;
        }
    }
}
