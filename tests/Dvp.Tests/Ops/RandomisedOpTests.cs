using System.Collections.Concurrent;
using Dvp.Engine.Devices;
using Dvp.Engine.IO;
using Dvp.Engine.Tensors;
using Dvp.Tests.Oracle;
using Xunit;

namespace Dvp.Tests.Ops;

/// <summary>Every scenario on one device: as the reference has it, and the same bits again with any number of threads.</summary>
public abstract class RandomisedOpTests(DeviceUnderTest device)
{
    private static readonly ConcurrentDictionary<(string Scenario, ElementType Precision), TensorArchive> s_expected = new();

    public static TheoryData<string> Scenarios => new(OpScenarios.All.Keys);

    [Theory]
    [MemberData(nameof(Scenarios))]
    public void Agrees_with_the_reference(string name)
    {
        OpScenario scenario = OpScenarios.All[name];
        TensorArchive? first = null;
        foreach (int threads in device.ThreadCounts)
        {
            using Backend backend = device.Open(threads);
            ElementType precision = backend.ActivationType == ElementType.F64 ? ElementType.F32 : backend.ActivationType;
            TensorArchive expected = s_expected.GetOrAdd((name, precision), _ =>
            {
                using ReferenceBackend reference = new();
                return Run(reference, scenario, precision);
            });
            TensorArchive actual = Run(backend, scenario, precision);
            if (first is null)
            {
                first = actual;
                Compare(backend, scenario, actual, expected);
            }

            foreach (string result in expected.Names)
            {
                Assert.True(
                    first.Doubles(result).Select(BitConverter.DoubleToInt64Bits).SequenceEqual(
                        actual.Doubles(result).Select(BitConverter.DoubleToInt64Bits)),
                    $"{name} on {backend.Name}: {result} is not the same bits as with {device.ThreadCounts[0]} threads.");
            }
        }
    }

    private static TensorArchive Run(Backend backend, OpScenario scenario, ElementType precision)
    {
        using OpBench bench = new(backend) { Precision = precision };
        scenario.Body(bench);
        bench.Check();
        return bench.Results;
    }

    private static void Compare(Backend backend, OpScenario scenario, TensorArchive actual, TensorArchive expected)
    {
        List<string> failures = [];
        Assert.Equal(expected.Names, actual.Names);
        foreach (string result in expected.Names)
        {
            Assert.True(expected.Doubles(result).All(double.IsFinite), $"{scenario.Name}: the reference's {result} is not finite.");
            CompareRule rule = Tolerances.Reference(expected.Doubles(result), backend.ActivationType, scenario.Factor);
            TensorDifference difference = TensorDiff.CompareOne(result, actual, expected, rule);
            if (difference.IsFailure)
            {
                failures.Add(difference.ToString());
            }
        }

        Assert.True(
            failures.Count == 0, $"{scenario.Name} on {backend.Name}:{Environment.NewLine}{string.Join(Environment.NewLine, failures)}");
    }
}

/// <summary>The processor against the reference.</summary>
public sealed class CpuRandomisedOpTests() : RandomisedOpTests(new CpuUnderTest());
