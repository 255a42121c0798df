using System.Text.Json;
using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cpu;
using Dvp.Engine.IO;
using Dvp.Engine.Tensors;
using Dvp.Evaluation;
using Dvp.Prompting;
using Dvp.Tests.Oracle;
using Xunit;

namespace Dvp.Tests.Models;

/// <summary>
/// Every model case of the golden files on one device: all states, losses and gradients through the same path as the command
/// <c>dvp forward</c>, at the tolerance that the case states.
/// </summary>
public abstract class GoldenModelTests(Func<Backend> open)
{
    public static TheoryData<string> Bert => new(Fixtures.Cases("bert"));

    public static TheoryData<string> Clip => new(Fixtures.Cases("clip"));

    /// <summary>All but the table of buckets, which has no model.</summary>
    public static TheoryData<string> LanguageModels => new(
        Fixtures.Cases("t5").Where(c => c != "t5/relative-buckets").Concat(Fixtures.Cases("llama")));

    public static TheoryData<string> Dvp => new(((string[])["dvp-bert", "dvp-t5", "dvp-llama"]).SelectMany(Fixtures.Cases));

    [Theory]
    [MemberData(nameof(Bert))]
    public void Bert_states_losses_and_gradients(string name) => Compare(name, dvp: false, gradients: true);

    [Theory]
    [MemberData(nameof(Clip))]
    public void Clip_states(string name) => Compare(name, dvp: false, gradients: false);

    [Theory]
    [MemberData(nameof(LanguageModels))]
    public void Language_model_states_losses_and_gradients(string name) => Compare(name, dvp: false, gradients: true);

    [Theory]
    [MemberData(nameof(Dvp))]
    public void Dvp_states_losses_and_gradients(string name) => Compare(name, dvp: true, gradients: !name.Contains("/search-candidates", StringComparison.Ordinal));

    private void Compare(string name, bool dvp, bool gradients)
    {
        string folder = Fixtures.Path(name);
        TensorArchive expected = TensorArchive.Load(Path.Combine(folder, "expected.safetensors"));
        gradients &= expected.Names.Any(n => n.StartsWith("gradients.", StringComparison.Ordinal));
        using Backend backend = open();
        TensorArchive actual = ModelForward.Run(
            Path.Combine(folder, "model"), dvp ? folder : null, TensorArchive.Load(Path.Combine(folder, "inputs.safetensors")), backend, gradients);
        string[] compared = [.. expected.Names.Where(n => !IsGeneration(n))];
        CompareRules rules = CompareRules.Load(Path.Combine(folder, "case.json"));
        TensorDiffReport report = backend.ActivationType.Size() == 2
            ? CompareNarrow(folder, dvp, gradients, backend.ActivationType, actual, expected, compared, rules)
            : TensorDiff.Compare(actual, expected, rules, n => !IsGeneration(n));
        Assert.True(report.Passed, report.ToString());
        Assert.Equal(compared.Length, report.Tensors.Count(t => expected.Contains(t.Name)));
        if (gradients && dvp)
        {
            AssertSameTrainable(folder, actual);
        }
    }

    private static TensorDiffReport CompareNarrow(
        string folder, bool dvp, bool gradients, ElementType type, TensorArchive actual, TensorArchive expected, string[] names,
        CompareRules rules)
    {
        using ReferenceBackend oracle = new(type);
        TensorArchive rounded = ModelForward.Run(
            Path.Combine(folder, "model"), dvp ? folder : null, TensorArchive.Load(Path.Combine(folder, "inputs.safetensors")), oracle, gradients);
        Dictionary<string, double[]> values = names.ToDictionary(n => n, n =>
        {
            double[] of = new double[TensorShape.Count(expected.ShapeOf(n))];
            expected.ReadDoubles(n, of);
            return of;
        });
        double largest = values.Where(v => v.Key.StartsWith("gradients.", StringComparison.Ordinal))
            .SelectMany(v => v.Value).Select(Math.Abs).DefaultIfEmpty(0).Max();
        double Worst(bool ofGradients) => names
            .Where(n => n.StartsWith("gradients.", StringComparison.Ordinal) == ofGradients && rounded.Contains(n))
            .Select(n => Error(values[n], rounded, n, largest)).DefaultIfEmpty(0).Max();
        NarrowRules narrow = new(Path.Combine(folder, "case.json"), type, Worst(false), Worst(true), HasRelu(folder));
        return new TensorDiffReport([.. names.Select(name => TensorDiff.CompareOne(
            name, actual, expected,
            rules.Find(name) is { IsSkip: true } skip ? skip : narrow.Of(name, values[name], largest)))]);
    }

    /// <summary>T5's feed-forward, and the adapters of BERT and T5.</summary>
    private static bool HasRelu(string folder)
    {
        string config = Path.Combine(folder, DvpConfig.FileName);
        string model = ConfigFile.Load(Path.Combine(folder, "model", "config.json")).Text("model_type");
        return model == "t5" || (model == "bert" && File.Exists(config) && DvpConfig.Load(folder).Adapters is not null);
    }

    /// <summary>Largest difference relative to the largest magnitude; 0 for what is zero in exact arithmetic.</summary>
    private static double Error(double[] expected, TensorArchive actual, string name, double largestGradient)
    {
        double largest = expected.Select(Math.Abs).DefaultIfEmpty(0).Max();
        if (largest <= 1e-6 * largestGradient)
        {
            return 0;
        }

        double[] found = new double[expected.Length];
        actual.ReadDoubles(name, found);
        return expected.Zip(found, (e, f) => Math.Abs(e - f)).DefaultIfEmpty(0).Max() / largest;
    }

    /// <summary>Texts that the library wrote: the classifiers of this repository write none.</summary>
    private static bool IsGeneration(string name) => name.StartsWith("generate.", StringComparison.Ordinal);

    /// <summary>Exactly the tensors that the published code trains, and reaches, have a gradient here.</summary>
    private static void AssertSameTrainable(string folder, TensorArchive actual)
    {
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "trainable.json")));
        IEnumerable<string> trainable = document.RootElement.GetProperty("trainable").EnumerateArray().Select(e => e.GetString()!);
        IEnumerable<string> unused = document.RootElement.TryGetProperty("of_these_never_used", out JsonElement never)
            ? never.EnumerateArray().Select(e => e.GetString()!)
            : [];
        Assert.Equal(
            trainable.Except(unused).Select(n => "gradients." + n).Order(StringComparer.Ordinal),
            actual.Names.Where(n => n.StartsWith("gradients.", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
    }
}

/// <summary>The oracle in double precision: the recorded graphs themselves are right.</summary>
public sealed class ReferenceGoldenModelTests() : GoldenModelTests(() => new ReferenceBackend());

/// <summary>The CPU device.</summary>
public sealed class CpuGoldenModelTests() : GoldenModelTests(() => new CpuBackend());
