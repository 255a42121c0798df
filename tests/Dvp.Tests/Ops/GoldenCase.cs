using System.Text.Json;
using Dvp.Engine.Devices;
using Dvp.Engine.IO;
using Dvp.Engine.Tensors;
using Xunit;

namespace Dvp.Tests.Ops;

/// <summary>One folder of the operator golden files and a run of it on a device.</summary>
internal sealed class GoldenCase : IDisposable
{
    private readonly JsonDocument _document;
    private readonly TensorArchive _inputs;
    private readonly TensorArchive _expected;

    public GoldenCase(string name, OpBench bench)
    {
        Bench = bench;
        Name = name;
        string folder = Fixtures.Path($"ops/{name}");
        string json = Path.Combine(folder, "case.json");
        _document = JsonDocument.Parse(File.ReadAllBytes(json));
        string inputs = Path.Combine(folder, "inputs.safetensors");
        _inputs = File.Exists(inputs) ? TensorArchive.Load(inputs) : new TensorArchive($"{name}, which has no inputs");
        _expected = TensorArchive.Load(Path.Combine(folder, "expected.safetensors"));
        Rules = CompareRules.Load(json);
    }

    public string Name { get; }

    public OpBench Bench { get; }

    public CompareRules Rules { get; }

    public Backend Device => Bench.Device;

    public string Op => _document.RootElement.GetProperty("op").GetString()!;

    public IReadOnlyCollection<string> ExpectedNames => _expected.Names;

    public IReadOnlyCollection<string> InputNames => _inputs.Names;

    /// <summary>The activation that the case names; none where it names none.</summary>
    public Activation Activation => !HasAttribute("activation") ? Activation.None : Attribute("activation").GetString() switch
    {
        "relu" => Activation.Relu,
        "gelu_erf" => Activation.GeluErf,
        "gelu_tanh" => Activation.GeluTanh,
        "quick_gelu" => Activation.QuickGelu,
        "silu" => Activation.Silu,
        "tanh" => Activation.Tanh,
        string other => throw new InvalidOperationException($"{Name}: unknown activation {other}."),
        null => throw new InvalidOperationException($"{Name}: the activation is no text."),
    };

    public bool Has(string input) => _inputs.Contains(input);

    public bool Expects(string result) => _expected.Contains(result);

    public bool HasAttribute(string name) => _document.RootElement.GetProperty("attributes").TryGetProperty(name, out _);

    public JsonElement Attribute(string name) => _document.RootElement.GetProperty("attributes").GetProperty(name);

    public int Int32(string attribute) => Attribute(attribute).GetInt32();

    public float Single(string attribute) => Attribute(attribute).GetSingle();

    public double[] Values(string input)
    {
        double[] values = new double[TensorShape.Count(_inputs.ShapeOf(input))];
        _inputs.ReadDoubles(input, values);
        return values;
    }

    public int[] Shape(string input) => [.. _inputs.ShapeOf(input)];

    public int[] ExpectedShape(string result) => [.. _expected.ShapeOf(result)];

    /// <summary>An input under its own shape.</summary>
    public Tensor Input(string name) => Bench.Input(Values(name), _inputs.ShapeOf(name));

    /// <summary>An input under another shape.</summary>
    public Tensor Input(string name, params ReadOnlySpan<int> shape) => Bench.Input(Values(name), shape);

    public Tensor? Optional(string name, params ReadOnlySpan<int> shape) => Has(name) ? Input(name, shape) : null;

    public Tensor Integers(string name, params ReadOnlySpan<int> shape) =>
        Bench.Input(Array.ConvertAll(_inputs.Int64s(name), v => checked((int)v)), shape);

    public ParameterBlock Parameter(string name) => Bench.Parameter(Values(name), _inputs.ShapeOf(name));

    public ParameterBlock Parameter(string name, params ReadOnlySpan<int> shape) => Bench.Parameter(Values(name), shape);

    public ParameterBlock? OptionalParameter(string name) => Has(name) ? Parameter(name) : null;

    /// <summary>A poisoned result of the shape of an input.</summary>
    public Tensor OutputLike(string input) => Bench.Output(_inputs.ShapeOf(input));

    /// <summary>Keeps a result under the expected shape.</summary>
    public void Result(string name, Tensor tensor) => Result(name, Bench.Values(tensor));

    /// <summary>Keeps the gradient of a parameter.</summary>
    public void Gradient(string input, ParameterBlock block) => Result($"gradients.{input}", block.Gradient!);

    public void Result(string name, double[] values) => Bench.Results.Add(name, values, _expected.ShapeOf(name));

    public void Result(string name, long[] values) => Bench.Results.Add(name, values, _expected.ShapeOf(name));

    /// <summary>Compares every expected tensor.</summary>
    /// <param name="instead">Expected values in place of the case's own; null for these.</param>
    public void Compare(TensorArchive? instead = null)
    {
        TensorArchive wanted = instead ?? _expected;
        List<string> failures = [];
        foreach (string name in ExpectedNames)
        {
            double[] expected = new double[TensorShape.Count(wanted.ShapeOf(name))];
            wanted.ReadDoubles(name, expected);
            CompareRule rule = Tolerances.Golden(Rules, Op, name, expected, Device.ActivationType);
            TensorDifference difference = TensorDiff.CompareOne(name, Bench.Results, wanted, rule);
            if (difference.IsFailure)
            {
                failures.Add(difference.ToString());
            }
        }

        Assert.True(failures.Count == 0, $"{Name} on {Device.Name}:{Environment.NewLine}{string.Join(Environment.NewLine, failures)}");
    }

    public void Dispose() => _document.Dispose();
}
