using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cuda;
using Dvp.Engine.IO;
using Dvp.Engine.Tensors;
using Dvp.Tests.Ops;
using Dvp.Tests.Oracle;
using Xunit;

namespace Dvp.Tests.Cuda;

/// <summary>
/// Every tile of the product kernels, whole sums and split ones, whichever the plan would choose; under the kernel host's checks of every access, and
/// in random order of threads and blocks.
/// </summary>
[Requires(Capability.KernelHost)]
public sealed class MatmulKernelTests
{
    public static TheoryData<ElementType, int, int, int> Ways
    {
        get
        {
            TheoryData<ElementType, int, int, int> ways = [];
            foreach (int splits in (int[])[1, 3])
            {
                ways.Add(ElementType.F32, 128, 128, splits);
                ways.Add(ElementType.F32, 64, 64, splits);
                foreach ((int m, int n) in ((int, int)[])[(128, 128), (128, 64), (64, 64)])
                {
                    ways.Add(splits == 1 ? ElementType.BF16 : ElementType.F16, m, n, splits);
                }
            }

            return ways;
        }
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public void Every_way_gives_the_product(ElementType real, int tileM, int tileN, int splits)
    {
        // Rows of whole chunks of 16 bytes, with tails; then rows that begin anywhere.
        Compare(real, new ProductWay(tileM, tileN, splits), b => OpScenarios.Linear(b, 136, 72, 104, Activation.GeluErf, true, true, gap: 8));
        Compare(real, new ProductWay(tileM, tileN, splits), b => OpScenarios.Linear(b, 70, 133, 65, Activation.Silu, true, true, gap: 1));
    }

    [Theory]
    [InlineData(ElementType.BF16)]
    [InlineData(ElementType.F16)]
    public void Adapters_in_one_kernel(ElementType real)
    {
        Compare(real, null, b => OpScenarios.Adapter(b, 259, 136, 16, Activation.Relu, trains: true));
        Compare(real, null, b => OpScenarios.Adapter(b, 257, 31, 13, Activation.Silu, trains: false));
        Compare(real, null, b => OpScenarios.Adapter(b, 256, 40, 128, Activation.GeluTanh, trains: false));
    }

    private static void Compare(ElementType real, ProductWay? way, Action<OpBench> body)
    {
        using ReferenceBackend reference = new();
        TensorArchive expected = Run(reference, real, body);
        using CudaBackend device = CudaUnderTest.Open(real, CudaUnderTest.Checked);
        device.Way = way;
        TensorArchive actual = Run(device, real, body);
        foreach (string name in expected.Names)
        {
            CompareRule rule = Tolerances.Reference(expected.Doubles(name), real, factor: 1);
            TensorDifference difference = TensorDiff.CompareOne(name, actual, expected, rule);
            Assert.False(difference.IsFailure, $"{real} {way}: {difference}");
        }
    }

    private static TensorArchive Run(Backend backend, ElementType real, Action<OpBench> body)
    {
        using OpBench bench = new(backend) { Precision = real };
        body(bench);
        bench.Check();
        return bench.Results;
    }
}
