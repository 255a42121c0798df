using Dvp.Engine.IO;
using Dvp.Engine.Nn;
using Dvp.Evaluation;
using Dvp.Prompting;
using Dvp.Tests.IO;
using Dvp.Tests.Oracle;
using Dvp.Training;
using Xunit;

namespace Dvp.Tests.Training;

/// <summary>T5 and LLaMA through what the library does with any language model: folders, recorded steps, arms of a search, strict loading.</summary>
public sealed class LanguageModelFamilyTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly ReferenceBackend _device = new();

    public static TheoryData<string> Families => new("bert", "t5", "llama");

    [Theory]
    [MemberData(nameof(Families))]
    public void A_saved_folder_gives_the_logits_of_the_recorded_steps_with_all_rows_computed(string family)
    {
        TinyModel tiny = Tiny(family);
        string model = tiny.Write(_folder["model"]);
        DvpConfig config = TinyDvp.Config(tiny, layer: 1, adapters: true);
        TrainingSet set = TinyDvp.Examples(tiny, 4, seed: 6);
        float[] logits;
        using (LoadedDvp loaded = TinyDvp.Create(model, config, _device))
        {
            Far(loaded);
            loaded.Save(_folder["dvp"]);
            using StepGraphs graphs = new(loaded.Model, _device, TinyDvp.VisualTokens);
            logits = new Predictor(loaded.Model, graphs, batch: 4).Logits(set, layer: 1);
        }

        string[] saved = [.. TensorArchive.Load(Path.Combine(_folder["dvp"], "dvp.safetensors")).Names];
        Assert.Equal(
            tiny.Shapes().Select(s => s.Name).Where(n => IsTrainedNorm(family, n)).Order(StringComparer.Ordinal),
            saved.Intersect(tiny.Shapes().Select(s => s.Name)).Order(StringComparer.Ordinal));
        TensorArchive results = ModelForward.Run(model, _folder["dvp"], Inputs(tiny, set, length: 6), _device);
        float[] all = results.Floats("logits");
        Assert.Equal(logits.Length, all.Length);
        Assert.Contains(logits, z => Math.Abs(z) > 1e-2);
        for (int i = 0; i < all.Length; i++)
        {
            Assert.Equal(all[i], logits[i], 1e-6);
        }
    }

    [Theory]
    [MemberData(nameof(Families))]
    public void Arms_that_share_the_text_give_the_logits_of_whole_passes(string family)
    {
        TinyModel tiny = Tiny(family);
        using LoadedDvp loaded = TinyDvp.Create(tiny.Write(_folder["model"]), TinyDvp.Config(tiny, layer: null, adapters: true), _device);
        Far(loaded);
        using StepGraphs graphs = new(loaded.Model, _device, TinyDvp.VisualTokens);
        TrainingSet some = TinyDvp.Examples(tiny, 6, seed: 6);
        TrainingSet set = new(
            some.Features, some.LabelCount, [.. new[] { 0, 1, 0, 1, 2, 0 }.Select(t => some.Tokens(t).ToArray())], [.. Enumerable.Range(0, 6)],
            [.. Enumerable.Repeat<int[]>([], 6)], [.. Enumerable.Repeat<float[]>([], 6)]);
        int[] examples = [0, 1, 2, 3, 4, 5];
        BatchBuffers buffers = new(set, loaded.Model);
        PrefixStep prefix = graphs.Prefix(buffers.Shape(examples, examples.Length, share: true));
        Assert.Equal(3, prefix.Shape.Texts);
        buffers.Upload(_device, examples, prefix.Inputs, graphs.PromptTokens);
        prefix.Work.Run();
        for (int layer = 0; layer < tiny.Layers; layer++)
        {
            InferenceStep arm = graphs.Suffix(prefix, layer);
            arm.Work.Run();
            float[] shared = _device.Floats(arm.Outputs.Logits.Value);
            using StepGraphs own = new(loaded.Model, _device, TinyDvp.VisualTokens);
            float[] whole = new Predictor(loaded.Model, own, batch: 1).Logits(set, layer);
            for (int i = 0; i < whole.Length; i++)
            {
                Assert.Equal(whole[i], shared[i], 1e-6);
            }
        }
    }

    [Fact]
    public void T5_gives_a_text_the_same_answer_whatever_stands_beside_it()
    {
        TinyModel tiny = new TinyT5 { Dropout = 0 };
        using LoadedDvp loaded = TinyDvp.Create(tiny.Write(_folder["model"]), TinyDvp.Config(tiny, layer: 1, adapters: true), _device);
        TrainingSet set = TinyDvp.Examples(tiny, 3, seed: 6);
        BatchBuffers buffers = new(set, loaded.Model);
        Assert.Equal(6, buffers.Shape([0], 1, share: false).Length);
        Assert.Contains(Enumerable.Range(0, 3), e => set.Tokens(e).Length < 6);
    }

    [Fact]
    public void A_LLaMA_text_without_end_token_is_an_error()
    {
        TinyModel tiny = new TinyLlama { Dropout = 0 };
        string model = tiny.Write(_folder["model"]);
        using (LoadedDvp loaded = TinyDvp.Create(model, TinyDvp.Config(tiny, layer: 1, adapters: true), _device))
        {
            loaded.Save(_folder["dvp"]);
        }

        TensorArchive inputs = new("the inputs");
        inputs.Add("input_ids", (long[])[1, 4, 5, 1, 2, 0], [2, 3]);
        inputs.Add("visual_features", new float[2 * TinyDvp.VisualTokens * TinyDvp.VisualChannels], [2, TinyDvp.VisualTokens, TinyDvp.VisualChannels]);
        Expect.Error("Text 0 of a batch has no end token 2", () => ModelForward.Run(model, _folder["dvp"], inputs, _device));
    }

    [Fact]
    public void A_DVP_for_another_family_is_refused()
    {
        TinyModel t5 = new TinyT5();
        Expect.Error(
            "The DVP is for a llama model",
            () => TinyDvp.Create(t5.Write(_folder["model"]), TinyDvp.Config(new TinyLlama(), layer: 1, adapters: true), _device));
    }

    [Theory]
    [InlineData("t5", "decoder.block.1.layer.1.EncDecAttention.k.weight", "missing (decoder.block.1.layer.1.EncDecAttention.k.weight)")]
    [InlineData("llama", "model.layers.0.mlp.up_proj.weight", "2 tensors missing (model.layers.0.mlp.up_proj.weight, lm_head.weight)")]
    public void Missing_weights_are_named(string family, string name, string message)
    {
        string model = Tiny(family).Write(_folder["model"]);
        Rewrite(model, tensors => tensors.Remove(name));
        Expect.Error(message, () => ModelForward.Run(model, null, Tokens(), _device));
    }

    [Theory]
    [InlineData("t5", "decoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight", "not expected")]
    [InlineData("t5", "encoder.embed_tokens.weight", "differ")]
    [InlineData("llama", "model.layers.0.self_attn.q_proj.bias", "not expected")]
    public void Weights_that_the_model_does_not_read_are_named(string family, string name, string message)
    {
        string model = Tiny(family).Write(_folder["model"]);
        Rewrite(model, tensors => tensors[name] = ([2], [1, 2]));
        Expect.Error(message, () => ModelForward.Run(model, null, Tokens(), _device));
        Expect.Error(name, () => ModelForward.Run(model, null, Tokens(), _device));
    }

    public void Dispose()
    {
        _device.Dispose();
        _folder.Dispose();
    }

    private static TinyModel Tiny(string family) => family switch
    {
        "t5" => new TinyT5 { Dropout = 0, Gated = true },
        "llama" => new TinyLlama { Dropout = 0 },
        _ => new TinyBert { Dropout = 0 },
    };

    private static bool IsTrainedNorm(string family, string name) => family == "bert"
        ? name.StartsWith("encoder.", StringComparison.Ordinal) && name.Contains("LayerNorm", StringComparison.Ordinal)
        : name.EndsWith("norm.weight", StringComparison.Ordinal);

    /// <summary>The examples as tensors, padded to one length.</summary>
    private static TensorArchive Inputs(TinyModel tiny, TrainingSet set, int length)
    {
        length = tiny.Type == "t5" ? length : Enumerable.Range(0, set.Count).Max(e => set.Tokens(e).Length);
        long[] ids = new long[set.Count * length];
        long[] mask = new long[set.Count * length];
        float[] visual = new float[set.Count * TinyDvp.VisualTokens * TinyDvp.VisualChannels];
        int picture = TinyDvp.VisualTokens * TinyDvp.VisualChannels;
        for (int e = 0; e < set.Count; e++)
        {
            for (int t = 0; t < set.Tokens(e).Length; t++)
            {
                ids[(e * length) + t] = set.Tokens(e)[t];
                mask[(e * length) + t] = 1;
            }

            set.Features.Read(set.ImageRow(e), visual.AsSpan(e * picture, picture));
        }

        TensorArchive inputs = new("the inputs");
        inputs.Add("input_ids", ids, [set.Count, length]);
        inputs.Add("attention_mask", mask, [set.Count, length]);
        inputs.Add("visual_features", visual, [set.Count, TinyDvp.VisualTokens, TinyDvp.VisualChannels]);
        return inputs;
    }

    private static TensorArchive Tokens()
    {
        TensorArchive inputs = new("the inputs");
        inputs.Add("input_ids", (long[])[1, 4, 2], [1, 3]);
        inputs.Add("labels", (long[])[1, 4, 2], [1, 3]);
        return inputs;
    }

    private static void Rewrite(string model, Action<Dictionary<string, (int[] Shape, float[] Values)>> change)
    {
        string file = Path.Combine(model, "model.safetensors");
        TensorArchive archive = TensorArchive.Load(file);
        Dictionary<string, (int[] Shape, float[] Values)> tensors =
            archive.Names.ToDictionary(n => n, n => (archive.ShapeOf(n).ToArray(), archive.Floats(n)));
        change(tensors);
        SafetensorsWriter.Write(file, tensors.Select(t => TensorContent.FromFloats(t.Key, t.Value.Shape, t.Value.Values)));
    }

    /// <summary>Moves what trains away from its initial values, where adapters are next to nothing.</summary>
    private void Far(LoadedDvp loaded)
    {
        Engine.SeededRandom random = new(31);
        foreach (Parameter parameter in loaded.Parameters.Trained.Where(p => !p.Name.EndsWith("norm.weight", StringComparison.Ordinal)))
        {
            float[] values = new float[parameter.Value.Count];
            random.FillNormal(values, 0, 0.4);
            _device.Upload(parameter.Value, values);
        }

        loaded.Parameters.TouchTrained();
    }
}
