using System.Collections.Concurrent;
using Dvp.Engine.Devices;
using Dvp.Engine.IO;
using Dvp.Engine.Tensors;
using Dvp.Tests.Oracle;
using Xunit;

namespace Dvp.Tests.Ops;

/// <summary>Every scenario on one device: as the reference has it, and the same bits again in every other way to compute it.</summary>
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
        foreach (DeviceWay way in device.Ways)
        {
            using Backend backend = way.Open();
            ElementType precision = backend.ActivationType == ElementType.F64 ? ElementType.F32 : backend.ActivationType;
            TensorArchive expected = s_expected.GetOrAdd((name, precision), _ =>
            {
                using ReferenceBackend reference = new();
                return Run(reference, scenario, precision, guards: true);
            });
            TensorArchive actual = Run(backend, scenario, precision, guards: !way.JudgesAccesses);
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
                    $"{name} on {backend.Name}: {result} has other bits ({way.Name}) than at first ({device.Ways[0].Name}).");
            }
        }
    }

    private static TensorArchive Run(Backend backend, OpScenario scenario, ElementType precision, bool guards)
    {
        using OpBench bench = new(backend) { Precision = precision, HasGuards = guards };
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
