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
/// What one optimiser step changes, mode by mode: exactly the declared tensors, every other one bit for bit as it was, and every
/// trainable gradient other than zero but for the listed ones. The lists are written out here from the paper's description, not taken
/// from the library's rules.
/// </summary>
public sealed class ChangedTensorTests : IDisposable
{
    private static readonly TinyBert s_bert = new();
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string, bool> Modes
    {
        get
        {
            TheoryData<string, bool> all = [];
            string[] modes =
            [
                "adapter", "full", "search", "search-adapters", "text-only", "text-only-full", "all-tokens", "all-tokens-full", "mean-pooled",
            ];
            foreach (string mode in modes)
            {
                all.Add(mode, false);
                all.Add(mode, true);
            }

            return all;
        }
    }

    [Theory]
    [MemberData(nameof(Modes))]
    public void A_step_changes_exactly_the_declared_tensors(string mode, bool cpu)
    {
        const int Layer = 1;
        bool adapters = mode is "adapter" or "search-adapters" or "text-only" or "all-tokens" or "mean-pooled";
        bool search = mode.StartsWith("search", StringComparison.Ordinal);
        PromptKind kind = mode.StartsWith("text-only", StringComparison.Ordinal) ? PromptKind.None
            : mode.StartsWith("all-tokens", StringComparison.Ordinal) ? PromptKind.AllTokens
            : mode == "mean-pooled" ? PromptKind.MeanPooled : PromptKind.Dynamic;
        DvpConfig config = TinyDvp.Config(s_bert, search ? null : Layer, adapters, kind);
        using Backend backend = cpu ? new CpuBackend(1) : new ReferenceBackend();
        using LoadedDvp loaded = TinyDvp.Create(s_bert.Write(_folder["model"]), config, backend);
        TrainerSettings settings = new() { Steps = 4, Batch = 6, LearningRate = 1e-2, Warmup = 0 };
        using StepRunner runner = new(
            loaded.Model, loaded.Parameters, TinyDvp.Examples(s_bert, 12, seed: 5), settings, TinyDvp.Groups(config));
        Dictionary<string, byte[]> before = loaded.Parameters.All.ToDictionary(p => p.Name, p => backend.Bytes(p.Value));
        runner.Step(0, Layer);

        HashSet<string> declared = [.. Declared(adapters, search, kind, Layer)];
        string[] all = [.. loaded.Parameters.All.Select(p => p.Name)];
        Assert.Empty(declared.Except(all));
        string[] trainable = [.. loaded.Parameters.Trained.Select(p => p.Name)];
        string[] idle = [.. trainable.Where(n => IsIdle(n, Layer))];
        Assert.Equal(declared.Order(StringComparer.Ordinal), trainable.Except(idle).Order(StringComparer.Ordinal));
        foreach (Parameter parameter in loaded.Parameters.All)
        {
            bool same = before[parameter.Name].AsSpan().SequenceEqual(backend.Bytes(parameter.Value));
            if (IsKeyBias(parameter.Name) && declared.Contains(parameter.Name))
            {
                continue; // its gradient is zero but for rounding, of which AdamW makes whole steps or none
            }

            Assert.True(same != declared.Contains(parameter.Name), $"{parameter.Name} {(same ? "stayed" : "changed")}");
            float[] gradient = parameter.Trains ? backend.Floats(parameter.Gradient!) : [];
            Assert.Equal(declared.Contains(parameter.Name), gradient.Any(g => g != 0));
        }
    }

    public void Dispose() => _folder.Dispose();

    /// <summary>What the step must change, by name.</summary>
    private static IEnumerable<string> Declared(bool adapters, bool search, PromptKind kind, int layer)
    {
        foreach ((string name, _) in s_bert.Shapes())
        {
            bool norm = name.StartsWith("encoder.", StringComparison.Ordinal) && name.Contains("LayerNorm", StringComparison.Ordinal);
            if (!adapters || norm)
            {
                yield return name;
            }
        }

        string[] ends = [".weight", ".bias"];
        for (int i = 0; adapters && i < 2 * s_bert.Layers; i++)
        {
            foreach (string end in ends)
            {
                yield return $"adapters.{i}.down{end}";
                yield return $"adapters.{i}.up{end}";
            }
        }

        foreach (string end in ends)
        {
            yield return "head.0" + end;
            yield return "head.1" + end;
            yield return "head.3" + end;
            if (kind is PromptKind.AllTokens or PromptKind.MeanPooled)
            {
                yield return "visual_projection" + end;
            }
        }

        string scope = search ? $"search.{layer}." : "";
        if (kind == PromptKind.Dynamic)
        {
            foreach (string linear in (string[])["q.weight", "q.bias", "k.weight", "v.weight", "v.bias", "merge.weight", "merge.bias"])
            {
                yield return $"{scope}prompt.linear_{linear}";
            }
        }

        if (kind != PromptKind.None)
        {
            yield return scope + "token_type_embeddings.weight";
        }
    }

    /// <summary>Trainable, but without a gradient in this step: the prompt's key bias, which cancels, and candidates not drawn.</summary>
    private static bool IsIdle(string name, int layer) => name.EndsWith("prompt.linear_k.bias", StringComparison.Ordinal)
        || (name.StartsWith("search.", StringComparison.Ordinal) && !name.StartsWith($"search.{layer}.", StringComparison.Ordinal));

    private static bool IsKeyBias(string name) => name.EndsWith("attention.self.key.bias", StringComparison.Ordinal);
}
