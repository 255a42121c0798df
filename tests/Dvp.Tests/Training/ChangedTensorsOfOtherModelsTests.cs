using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cpu;
using Dvp.Engine.Nn;
using Dvp.Prompting;
using Dvp.Tests.IO;
using Dvp.Tests.Oracle;
using Dvp.Training;
using Xunit;

namespace Dvp.Tests.Training;

/// <summary>
/// What one optimiser step changes in T5 and LLaMA: exactly the declared tensors, every other one bit for bit as it was, and gradients
/// other than zero but for the listed ones. The lists are written out here from the paper's description.
/// </summary>
public sealed class ChangedTensorsOfOtherModelsTests : IDisposable
{
    private const int Layer = 1;
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string, string, bool> Modes
    {
        get
        {
            TheoryData<string, string, bool> all = [];
            foreach (string model in (string[])["t5", "llama"])
            {
                foreach (string mode in (string[])["adapter", "full", model == "t5" ? "search" : "search-adapters", "text-only", "all-tokens"])
                {
                    all.Add(model, mode, false);
                    all.Add(model, mode, true);
                }
            }

            return all;
        }
    }

    [Theory]
    [MemberData(nameof(Modes))]
    public void A_step_changes_exactly_the_declared_tensors(string model, string mode, bool cpu)
    {
        TinyModel tiny = model == "t5" ? new TinyT5() : new TinyLlama();
        bool adapters = mode is not ("full" or "search");
        bool search = mode.StartsWith("search", StringComparison.Ordinal);
        PromptKind kind = mode == "text-only" ? PromptKind.None : mode == "all-tokens" ? PromptKind.AllTokens : PromptKind.Dynamic;
        DvpConfig config = TinyDvp.Config(tiny, search ? null : Layer, adapters, kind);
        if (adapters && model == "t5")
        {
            config = config with { Adapters = new AdapterConfig(24) }; // the decoder has one row: of few units none may pass ReLU
        }

        using Backend backend = cpu ? new CpuBackend(1) : new ReferenceBackend();
        using LoadedDvp loaded = TinyDvp.Create(tiny.Write(_folder["model"]), config, backend);
        TrainerSettings settings = new() { Steps = 4, Batch = 6, LearningRate = 1e-2, Warmup = 0 };
        using StepRunner runner = new(
            loaded.Model, loaded.Parameters, TinyDvp.Examples(tiny, 12, seed: 5), settings, TinyDvp.Groups(config));
        Dictionary<string, byte[]> before = loaded.Parameters.All.ToDictionary(p => p.Name, p => backend.Bytes(p.Value));
        runner.Step(0, Layer);

        HashSet<string> declared = [.. Declared(tiny, adapters, search, kind)];
        Assert.Empty(declared.Except(loaded.Parameters.All.Select(p => p.Name)));
        Assert.Equal(
            declared.Order(StringComparer.Ordinal),
            loaded.Parameters.Trained.Select(p => p.Name).Where(n => !IsIdle(n)).Order(StringComparer.Ordinal));
        foreach (Parameter parameter in loaded.Parameters.All)
        {
            bool same = before[parameter.Name].AsSpan().SequenceEqual(backend.Bytes(parameter.Value));
            Assert.True(same != declared.Contains(parameter.Name), $"{parameter.Name} {(same ? "stayed" : "changed")}");
            float[] gradient = parameter.Trains ? backend.Floats(parameter.Gradient!) : [];
            bool any = declared.Contains(parameter.Name) && !SeesOneKey(parameter.Name, kind);
            Assert.True(any == gradient.Any(g => g != 0), $"{parameter.Name} {(any ? "has no gradient" : "has a gradient")}");
        }
    }

    public void Dispose() => _folder.Dispose();

    private static IEnumerable<string> Declared(TinyModel tiny, bool adapters, bool search, PromptKind kind)
    {
        bool t5 = tiny.Type == "t5";
        foreach ((string name, _) in tiny.Shapes())
        {
            bool bias = name == "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight" && kind == PromptKind.None;
            if (name.EndsWith("norm.weight", StringComparison.Ordinal) || (!adapters && !bias))
            {
                yield return name;
            }
        }

        (string Scope, int Count)[] stacks = t5
            ? [("encoder_adapters", 2 * 2), ("decoder_adapters", 3 * tiny.Layers)]
            : [("adapters", 2 * tiny.Layers)];
        string[] ends = [".weight", ".bias"];
        foreach (string end in ends)
        {
            foreach ((string scope, int count) in adapters ? stacks : [])
            {
                for (int i = 0; i < count; i++)
                {
                    yield return $"{scope}.{i}.down{end}";
                    yield return $"{scope}.{i}.up{end}";
                }
            }

            yield return "head.0" + end;
            yield return "head.1" + end;
            yield return "head.3" + end;
            if (kind == PromptKind.AllTokens)
            {
                yield return "visual_projection" + end;
            }
        }

        string prefix = search ? $"search.{Layer}." : "";
        foreach (string linear in kind == PromptKind.Dynamic
            ? (string[])["q.weight", "q.bias", "k.weight", "v.weight", "v.bias", "merge.weight", "merge.bias"]
            : [])
        {
            yield return $"{prefix}prompt.linear_{linear}";
        }

        if (t5 && kind != PromptKind.None)
        {
            yield return prefix + "token_type_embeddings.weight";
        }
    }

    /// <summary>Trainable, but without a gradient in this step: the prompt's key bias, which cancels, and candidates not drawn.</summary>
    private static bool IsIdle(string name) => name.EndsWith("prompt.linear_k.bias", StringComparison.Ordinal)
        || (name.StartsWith("search.", StringComparison.Ordinal) && !name.StartsWith($"search.{Layer}.", StringComparison.Ordinal));

    /// <summary>Query and key of a decoder layer that reads the start token alone: a gradient of zero, and so only their decay.</summary>
    private static bool SeesOneKey(string name, PromptKind kind) =>
        name is "decoder.block.0.layer.0.SelfAttention.q.weight" or "decoder.block.0.layer.0.SelfAttention.k.weight"
        && kind != PromptKind.None;
}
