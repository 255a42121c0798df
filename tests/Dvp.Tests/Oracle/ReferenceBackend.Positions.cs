using Dvp.Engine.Tensors;

namespace Dvp.Tests.Oracle;

public sealed unsafe partial class ReferenceBackend
{
    /// <summary>T5's bucket of a distance key - query (Raffel et al. 2020, section 2.1): exact while small, then logarithmic.</summary>
    public static int RelativeBucket(int distance, int buckets, bool bidirectional, int maxDistance)
    {
        int first = 0;
        int away = -distance;
        if (bidirectional)
        {
            buckets /= 2;
            first = distance > 0 ? buckets : 0;
            away = Math.Abs(distance);
        }

        away = Math.Max(away, 0);
        int exact = buckets / 2;
        if (away < exact)
        {
            return first + away;
        }

        double share = Math.Log(away / (double)exact) / Math.Log(maxDistance / (double)exact);
        return first + Math.Min(exact + (int)(share * (buckets - exact)), buckets - 1);
    }

    /// <inheritdoc/>
    public override void Rotary(Tensor y, Tensor x, Tensor positions, int heads, float theta, int direction)
    {
        int size = x.Columns / heads;
        Rotary(y, x, positions, heads, i => Math.Pow(theta, -2.0 * i / size), direction);
    }

    /// <inheritdoc/>
    public override void Rotary(Tensor y, Tensor x, Tensor positions, int heads, Tensor frequencies, int direction)
    {
        double[] given = Load(frequencies);
        Require(given.Length == x.Columns / heads / 2, $"Frequencies {frequencies} do not fit {heads} heads of {x}.");
        Rotary(y, x, positions, heads, i => given[i], direction);
    }

    private void Rotary(Tensor y, Tensor x, Tensor positions, int heads, Func<int, double> frequency, int direction)
    {
        Launched();
        RequireSame(y, x);
        int size = x.Columns / heads;
        int half = size / 2;
        Require(size * heads == x.Columns && half * 2 == size, $"{heads} heads do not divide {x} into pairs.");
        Require(positions.Count == x.Rows, $"Positions {positions} do not fit {x}.");
        int[] position = Integers(positions);
        double[] source = Load(x);
        double[] result = new double[source.Length];
        for (int n = 0; n < x.Rows; n++)
        {
            for (int h = 0; h < heads; h++)
            {
                for (int i = 0; i < half; i++)
                {
                    double angle = direction * position[n] * frequency(i);
                    int a = (n * x.Columns) + (h * size) + i;
                    int b = a + half;
                    result[a] = (source[a] * Math.Cos(angle)) - (source[b] * Math.Sin(angle));
                    result[b] = (source[b] * Math.Cos(angle)) + (source[a] * Math.Sin(angle));
                }
            }
        }

        Store(y, result);
    }

    /// <inheritdoc/>
    public override void RelativeBiasForward(Tensor bias, ParameterBlock weight, bool bidirectional, int maxDistance)
    {
        Launched();
        (int heads, int queries, int keys) = (bias.Extent(-3), bias.Extent(-2), bias.Extent(-1));
        Require(weight.Value.Columns == heads, $"A weight {weight.Value} does not fit {bias}.");
        double[] rows = Load(weight.Value);
        double[] result = new double[bias.Count];
        for (int h = 0; h < heads; h++)
        {
            for (int i = 0; i < queries; i++)
            {
                for (int j = 0; j < keys; j++)
                {
                    int bucket = RelativeBucket(j - i, weight.Value.Rows, bidirectional, maxDistance);
                    result[(((h * queries) + i) * keys) + j] = rows[(bucket * heads) + h];
                }
            }
        }

        Store(bias, result);
    }

    /// <inheritdoc/>
    public override void RelativeBiasBackward(Tensor dweight, Tensor dbias, bool bidirectional, int maxDistance)
    {
        Launched();
        (int heads, int queries, int keys) = (dbias.Extent(-3), dbias.Extent(-2), dbias.Extent(-1));
        Require(dweight.Columns == heads, $"A gradient {dweight} does not fit {dbias}.");
        double[] d = Load(dbias);
        double[] result = new double[dweight.Count];
        for (int h = 0; h < heads; h++)
        {
            for (int i = 0; i < queries; i++)
            {
                for (int j = 0; j < keys; j++)
                {
                    int bucket = RelativeBucket(j - i, dweight.Rows, bidirectional, maxDistance);
                    result[(bucket * heads) + h] += d[(((h * queries) + i) * keys) + j];
                }
            }
        }

        Store(dweight, result, accumulate: true);
    }
}
