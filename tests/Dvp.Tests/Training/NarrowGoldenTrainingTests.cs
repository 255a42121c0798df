using Dvp.Engine.IO;
using Dvp.Engine.Optim;
using Dvp.Engine.Tensors;
using Dvp.Tests.Cuda;
using Dvp.Tests.Oracle;
using Xunit;

namespace Dvp.Tests.Training;

/// <summary>
/// Published training runs of DVP-BERT on a 16-bit device: the losses of five steps, and every trained tensor after the last, against the
/// published double precision.
/// </summary>
/// <remarks>
/// <para>A tensor's error is the length of its difference from the published values over the length of the way that training moved it. AdamW
/// moves every element by about the rate, whatever the size of its gradient; where rounding turns a gradient near zero, that element goes a
/// way of its own. So errors are a share of the movement, which grows with the type's rounding unit u (2^-9 in bf16, 2^-12 in f16).</para>
/// <para>How large the share is depends on the run: the oracle takes the same steps in double precision and rounds what it stores to the
/// same type. Losses and the median tensor may be off by <see cref="Factor"/> times what the oracle is off by, because the device rounds in
/// more places (inside attention; the copies of trained weights that it multiplies by). The worst tensor is judged by u alone: three
/// elements of 1908 that went the other way are 3 % of the movement of the word embeddings in f16. So that a bad oracle excuses nothing, it
/// is held to the same multiples of u.</para>
/// </remarks>
public abstract class NarrowGoldenTrainingTests(ElementType type)
{
    private const double Factor = 4;
    private const double LossUnits = 10;
    private const double MedianUnits = 30;
    private const double WorstUnits = 256;

    public static TheoryData<string> Runs => ["optim/train-bert-adapter", "optim/train-bert-full"];

    [Theory]
    [MemberData(nameof(Runs))]
    public void Five_training_steps(string name)
    {
        double unit = type == ElementType.BF16 ? 1.0 / 512 : 1.0 / 4096;
        using GoldenRun oracle = new(new ReferenceBackend(type), Fixtures.Path(name), MissingGradient.Skipped);
        using GoldenRun device = new(CudaUnderTest.Open(type), Fixtures.Path(name), MissingGradient.Skipped);
        TensorArchive start = GoldenBatches.Trained(device.Loaded.Parameters);
        (double Oracle, double Device) worst = (0, 0);
        for (int s = 0; s < device.Steps.Length; s++)
        {
            double loss = device.Steps[s].GetProperty("loss").GetDouble();
            worst = (Math.Max(worst.Oracle, Error(oracle, s, loss)), Math.Max(worst.Device, Error(device, s, loss)));
        }

        Judge("losses", worst, Factor * worst.Oracle, LossUnits * unit);
        TensorArchive golden = device.Expected;
        string[] names = [.. golden.Names.Where(n => !GoldenRun.IsPooler(n) && device.Rules.Find(n) is not { IsSkip: true })];
        (double[] byOracle, double[] found) = (Movements(oracle, golden, start, names), Movements(device, golden, start, names));
        double median = byOracle[names.Length / 2];
        Judge("median tensor", (median, found[names.Length / 2]), Factor * median, MedianUnits * unit);
        Judge("worst tensor", (byOracle[^1], found[^1]), double.PositiveInfinity, WorstUnits * unit);
        if (type == ElementType.F16)
        {
            Assert.Equal(new LossScaleState(GoldenRun.Scale, device.Steps.Length, 0), device.LossScale);
        }
    }

    private static void Judge(string what, (double Oracle, double Device) error, double besideOracle, double most)
    {
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{what}: oracle {error.Oracle:0.0e+0}, device {error.Device:0.0e+0}, at most {Math.Min(besideOracle, most):0.0e+0}");
        Assert.InRange(error.Oracle, 0, most);
        Assert.InRange(error.Device, 0, Math.Min(besideOracle, most));
    }

    private static double Error(GoldenRun run, int s, double loss) => Math.Abs(
        run.Train(s, run.Loaded.Model.Config.Layer!.Value, run.Steps[s].GetProperty("learning_rate").GetDouble()) - loss) / loss;

    /// <summary>The errors of all tensors, in order of size.</summary>
    private static double[] Movements(GoldenRun run, TensorArchive golden, TensorArchive start, string[] names)
    {
        TensorArchive found = GoldenBatches.Trained(run.Loaded.Parameters);
        return
        [
            .. names.Select(name => Distance(found.Floats(name), golden.Floats(name)) / Distance(start.Floats(name), golden.Floats(name)))
                .Order(),
        ];
    }

    private static double Distance(float[] a, float[] b) => Math.Sqrt(a.Zip(b, (x, y) => ((double)x - y) * ((double)x - y)).Sum());
}

/// <summary>In bf16.</summary>
[Requires(Capability.CudaDevice)]
public sealed class CudaBF16GoldenTrainingTests() : NarrowGoldenTrainingTests(ElementType.BF16);

/// <summary>In f16, under a loss scale.</summary>
[Requires(Capability.CudaDevice)]
public sealed class CudaF16GoldenTrainingTests() : NarrowGoldenTrainingTests(ElementType.F16);
