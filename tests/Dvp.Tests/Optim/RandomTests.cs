using System.Globalization;
using System.Text.Json;
using Dvp.Engine;
using Xunit;

namespace Dvp.Tests.Optim;

public sealed class RandomTests
{
    [Theory]
    [InlineData("vectors", 10, 20)]
    [InlineData("vectors_7_rounds", 7, 3)]
    public void Philox_gives_the_known_answers(string list, int rounds, int least)
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllText(Fixtures.Path("ops/philox4x32-10/case.json")));
        int count = 0;
        foreach (JsonElement vector in document.RootElement.GetProperty(list).EnumerateArray())
        {
            uint[] counter = Words(vector, "counter");
            uint[] key = Words(vector, "key");
            uint[] output = Words(vector, "output");
            PhiloxBlock block = Philox.Block(new PhiloxBlock(counter[0], counter[1], counter[2], counter[3]), key[0], key[1], rounds);
            Assert.Equal(new PhiloxBlock(output[0], output[1], output[2], output[3]), block);
            if (rounds == Philox.Rounds)
            {
                ulong seed = ((ulong)key[1] << 32) | key[0];
                Assert.Equal(block, Philox.Block(new PhiloxBlock(counter[0], counter[1], counter[2], counter[3]), seed));
            }

            count++;
        }

        Assert.True(count >= least, $"only {count} vectors");
    }

    [Fact]
    public void Dropout_factors_follow_their_words_from_any_first_element()
    {
        const float rate = 0.3f;
        float[] whole = new float[1003];
        Philox.DropoutFactors(whole, rate, 77, 1UL << 33, 5);
        for (int i = 0; i < whole.Length; i++)
        {
            bool kept = Philox.ToUniform(Philox.DropoutWord(77, 1UL << 33, 5, i)) >= rate;
            Assert.Equal(kept ? (float)(1.0 / (1.0 - rate)) : 0, whole[i]);
        }

        float[] part = new float[38];
        for (int first = 0; first < 9; first++)
        {
            Philox.DropoutFactors(part, rate, 77, 1UL << 33, 5, first);
            Assert.Equal(whole[first..(first + part.Length)], part);
        }

        // 1003 draws at 0.7: five standard deviations are 73.
        Assert.InRange(whole.Count(f => f != 0), 702 - 73, 702 + 73);
        Philox.DropoutFactors(part, 0, 1, 1, 1);
        Assert.All(part, f => Assert.Equal(1, f));
        Assert.Throws<ArgumentOutOfRangeException>(() => Philox.DropoutFactors(new float[1], 1, 1, 1, 1));
    }

    [Fact]
    public void A_sequence_goes_on_from_its_state()
    {
        SeededRandom random = new(123456789012345, 3);
        for (int skip = 0; skip < 9; skip++)
        {
            SeededRandom resumed = new(random.State);
            for (int i = 0; i < 7; i++)
            {
                Assert.Equal(random.NextWord(), resumed.NextWord());
            }

            Assert.Equal(random.NextNormal(), resumed.NextNormal());
            Assert.Equal(random.State, resumed.State);
        }

        Assert.NotEqual(new SeededRandom(1, 0).NextDouble(), new SeededRandom(1, 1).NextDouble());
        Assert.NotEqual(new SeededRandom(1, 0).NextDouble(), new SeededRandom(2, 0).NextDouble());
    }

    [Fact]
    public void Integers_below_a_bound_are_equally_likely()
    {
        SeededRandom random = new(4);
        int[] counts = new int[12];
        for (int i = 0; i < 120_000; i++)
        {
            counts[random.NextInt(12)]++;
        }

        // Standard deviation 96: five of them.
        Assert.All(counts, c => Assert.InRange(c, 10_000 - 480, 10_000 + 480));
        Assert.Equal(0, random.NextInt(1));
        Assert.InRange(random.NextInt(int.MaxValue), 0, int.MaxValue - 1);
        Assert.Throws<ArgumentOutOfRangeException>(() => random.NextInt(0));
    }

    [Fact]
    public void Uniform_and_normal_numbers_have_their_moments()
    {
        SeededRandom random = new(9);
        float[] normal = new float[100_000];
        random.FillNormal(normal, 2, 0.5);
        double mean = normal.Average(v => (double)v);
        Assert.InRange(mean, 2 - 0.008, 2 + 0.008);
        double variance = normal.Average(v => (v - mean) * (v - mean));
        Assert.InRange(variance, 0.25 - 0.006, 0.25 + 0.006);
        Assert.InRange(normal.Count(v => Math.Abs(v - 2) > 1), 4550 - 340, 4550 + 340); // beyond two deviations: 4.55 %

        float[] uniform = new float[100_000];
        random.FillUniform(uniform, -0.25, 0.75);
        Assert.All(uniform, v => Assert.InRange(v, -0.25f, 0.75f));
        Assert.InRange(uniform.Average(v => (double)v), 0.25 - 0.005, 0.25 + 0.005);
    }

    [Fact]
    public void A_shuffle_keeps_the_items_and_reaches_every_order()
    {
        SeededRandom random = new(5);
        int[] orders = new int[6];
        string[] names = ["012", "021", "102", "120", "201", "210"];
        for (int i = 0; i < 6000; i++)
        {
            int[] items = [0, 1, 2];
            random.Shuffle<int>(items);
            orders[Array.IndexOf(names, string.Concat(items))]++;
        }

        Assert.All(orders, c => Assert.InRange(c, 1000 - 145, 1000 + 145));
    }

    private static uint[] Words(JsonElement vector, string name) =>
        [.. vector.GetProperty(name).EnumerateArray()
            .Select(w => uint.Parse(w.GetString()!, NumberStyles.HexNumber, CultureInfo.InvariantCulture))];
}
