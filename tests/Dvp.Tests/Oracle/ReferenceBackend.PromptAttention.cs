using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Tests.Oracle;

public sealed unsafe partial class ReferenceBackend
{
    /// <inheritdoc/>
    public override void PromptAttentionForward(
        PromptAttentionState saved, Tensor context, Tensor q, Tensor x,
        ParameterBlock keyWeight, ParameterBlock valueWeight, ParameterBlock valueBias, int heads, Dropout? dropout)
    {
        Launched();
        PromptSizes s = new(q, x, keyWeight, valueWeight, valueBias, heads);
        RequireSame(context, q);
        double[] query = Load(q);
        double[] tokens = Load(x);
        double[] wk = Load(keyWeight.Value);
        double[] wv = Load(valueWeight.Value);
        double[] bv = Load(valueBias.Value);
        double[] absorbed = new double[s.Batch * s.Queries * heads * s.Visual];
        double[] probabilities = new double[s.Batch * heads * s.Queries * s.Tokens];
        double[] condensed = new double[absorbed.Length];
        double[] sums = new double[s.Batch * s.Queries * heads];
        double[] result = new double[query.Length];
        double[] factors = Factors(dropout, probabilities.Length);
        foreach ((int b, int p, int h) in s.All())
        {
            int u = s.Wide(b, p, h);
            for (int d = 0; d < s.HeadSize; d++)
            {
                for (int c = 0; c < s.Visual; c++)
                {
                    absorbed[u + c] += wk[s.Weight(h, d) + c] * query[s.Narrow(b, p, h) + d];
                }
            }

            Span<double> row = probabilities.AsSpan(s.Score(b, h, p), s.Tokens);
            for (int n = 0; n < s.Tokens; n++)
            {
                for (int c = 0; c < s.Visual; c++)
                {
                    row[n] += absorbed[u + c] * tokens[s.Token(b, n) + c] / Math.Sqrt(s.HeadSize);
                }
            }

            Softmax(row);
            for (int n = 0; n < s.Tokens; n++)
            {
                double kept = row[n] * factors[s.Score(b, h, p) + n];
                sums[s.Sum(b, p, h)] += kept;
                for (int c = 0; c < s.Visual; c++)
                {
                    condensed[u + c] += kept * tokens[s.Token(b, n) + c];
                }
            }

            for (int d = 0; d < s.HeadSize; d++)
            {
                double value = bv[(h * s.HeadSize) + d] * sums[s.Sum(b, p, h)];
                for (int c = 0; c < s.Visual; c++)
                {
                    value += wv[s.Weight(h, d) + c] * condensed[u + c];
                }

                result[s.Narrow(b, p, h) + d] = value;
            }
        }

        Store(saved.Absorbed, absorbed);
        Store(saved.Probabilities, probabilities);
        Store(saved.Condensed, condensed);
        Store(saved.ProbabilitySum, sums);
        Store(context, result);
    }

    /// <inheritdoc/>
    public override void PromptAttentionBackward(
        Tensor? dq, Tensor? dx, Tensor dcontext, PromptAttentionState saved, Tensor q, Tensor x,
        ParameterBlock keyWeight, ParameterBlock valueWeight, ParameterBlock valueBias, int heads, Dropout? dropout)
    {
        Launched();
        PromptSizes s = new(q, x, keyWeight, valueWeight, valueBias, heads);
        RequireSame(dcontext, q);
        double root = Math.Sqrt(s.HeadSize);
        double[] query = Load(q);
        double[] tokens = Load(x);
        double[] wk = Load(keyWeight.Value);
        double[] wv = Load(valueWeight.Value);
        double[] bv = Load(valueBias.Value);
        double[] absorbed = Load(saved.Absorbed);
        double[] probabilities = Load(saved.Probabilities);
        double[] condensed = Load(saved.Condensed);
        double[] sums = Load(saved.ProbabilitySum);
        double[] d = Load(dcontext);
        double[] factors = Factors(dropout, probabilities.Length);
        double[] toQuery = new double[query.Length];
        double[] toTokens = new double[tokens.Length];
        double[] toWk = new double[wk.Length];
        double[] toWv = new double[wv.Length];
        double[] toBv = new double[bv.Length];
        foreach ((int b, int p, int h) in s.All())
        {
            int u = s.Wide(b, p, h);
            double[] dz = new double[s.Visual];
            double dsum = 0;
            for (int e = 0; e < s.HeadSize; e++)
            {
                double dc = d[s.Narrow(b, p, h) + e];
                dsum += bv[(h * s.HeadSize) + e] * dc;
                toBv[(h * s.HeadSize) + e] += dc * sums[s.Sum(b, p, h)];
                for (int c = 0; c < s.Visual; c++)
                {
                    dz[c] += wv[s.Weight(h, e) + c] * dc;
                    toWv[s.Weight(h, e) + c] += dc * condensed[u + c];
                }
            }

            double[] dp = new double[s.Tokens];
            double mean = 0;
            for (int n = 0; n < s.Tokens; n++)
            {
                double kept = dsum;
                for (int c = 0; c < s.Visual; c++)
                {
                    kept += dz[c] * tokens[s.Token(b, n) + c];
                }

                dp[n] = kept * factors[s.Score(b, h, p) + n];
                mean += probabilities[s.Score(b, h, p) + n] * dp[n];
            }

            double[] du = new double[s.Visual];
            for (int n = 0; n < s.Tokens; n++)
            {
                int at = s.Score(b, h, p) + n;
                double ds = probabilities[at] * (dp[n] - mean) / root;
                for (int c = 0; c < s.Visual; c++)
                {
                    du[c] += ds * tokens[s.Token(b, n) + c];
                    toTokens[s.Token(b, n) + c] += (probabilities[at] * factors[at] * dz[c]) + (ds * absorbed[u + c]);
                }
            }

            for (int e = 0; e < s.HeadSize; e++)
            {
                for (int c = 0; c < s.Visual; c++)
                {
                    toQuery[s.Narrow(b, p, h) + e] += wk[s.Weight(h, e) + c] * du[c];
                    toWk[s.Weight(h, e) + c] += query[s.Narrow(b, p, h) + e] * du[c];
                }
            }
        }

        StoreIfWanted(dq, toQuery, accumulate: false);
        StoreIfWanted(dx, toTokens, accumulate: false);
        AddGradient(keyWeight, toWk);
        AddGradient(valueWeight, toWv);
        AddGradient(valueBias, toBv);
    }

    /// <summary>Sizes of a prompt attention and the places of its elements.</summary>
    private sealed class PromptSizes
    {
        private readonly int _heads;

        internal PromptSizes(
            Tensor q, Tensor x, ParameterBlock keyWeight, ParameterBlock valueWeight, ParameterBlock valueBias, int heads)
        {
            _heads = heads;
            (Batch, Queries, Tokens, Visual) = (q.Extent(0), q.Extent(1), x.Extent(1), x.Extent(2));
            HeadSize = q.Columns / heads;
            Require(HeadSize * heads == q.Columns, $"{heads} heads do not divide {q}.");
            Require(x.Extent(0) == Batch, $"A query {q} and tokens {x} have different batches.");
            Require(keyWeight.Value.Rows == q.Columns && keyWeight.Value.Columns == Visual, "The key projection does not fit.");
            Require(valueWeight.Value.Rows == q.Columns && valueWeight.Value.Columns == Visual, "The value projection does not fit.");
            Require(valueBias.Value.Count == q.Columns, "The value bias does not fit.");
        }

        internal int Batch { get; }

        internal int Queries { get; }

        internal int Tokens { get; }

        internal int Visual { get; }

        internal int HeadSize { get; }

        internal IEnumerable<(int Batch, int Query, int Head)> All() =>
            from b in Enumerable.Range(0, Batch)
            from p in Enumerable.Range(0, Queries)
            from h in Enumerable.Range(0, _heads)
            select (b, p, h);

        internal int Narrow(int b, int p, int h) => ((((b * Queries) + p) * _heads) + h) * HeadSize;

        internal int Wide(int b, int p, int h) => ((((b * Queries) + p) * _heads) + h) * Visual;

        internal int Score(int b, int h, int p) => ((((b * _heads) + h) * Queries) + p) * Tokens;

        internal int Sum(int b, int p, int h) => (((b * Queries) + p) * _heads) + h;

        internal int Token(int b, int n) => ((b * Tokens) + n) * Visual;

        internal int Weight(int h, int d) => ((h * HeadSize) + d) * Visual;
    }
}
