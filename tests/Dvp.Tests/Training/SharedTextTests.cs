using Dvp.Prompting;
using Dvp.Tests.IO;
using Dvp.Tests.Oracle;
using Dvp.Training;
using Xunit;

namespace Dvp.Tests.Training;

/// <summary>Examples with the same text share it below the prompt: loss, gradients and logits are those of computing every text by itself.</summary>
public sealed class SharedTextTests
{
    [Theory]
    [InlineData("bert", PromptKind.Dynamic, 0)]
    [InlineData("bert", PromptKind.Dynamic, 2)]
    [InlineData("bert", PromptKind.AllTokens, 1)]
    [InlineData("bert", PromptKind.None, 0)]
    [InlineData("t5", PromptKind.Dynamic, 1)]
    [InlineData("t5", PromptKind.None, 0)]
    [InlineData("llama", PromptKind.Dynamic, 1)]
    [InlineData("llama", PromptKind.AllTokens, 2)]
    [InlineData("llama", PromptKind.None, 0)]
    public void Loss_and_gradients_are_the_same(string model, PromptKind kind, int layer)
    {
        TinyModel tiny = Tiny(model);
        using TemporaryFolder folder = new();
        tiny.Write(folder.Root);
        using ReferenceBackend backend = new();
        using LoadedDvp loaded = TinyDvp.Create(folder.Root, TinyDvp.Config(tiny, layer, adapters: true, kind), backend);
        TrainingSet set = Repeating(tiny);
        using StepGraphs graphs = new(loaded.Model, backend, TinyDvp.VisualTokens);
        BatchBuffers buffers = new(set, loaded.Model);
        int[] examples = [0, 1, 2, 3, 4, 5, 6, 7];
        StepShape shared = buffers.Shape(examples, examples.Length, share: true);
        Assert.Equal(3, shared.Texts);

        (double loss, float[][] gradients) alone = Run(buffers.Shape(examples, examples.Length, share: false));
        (double loss, float[][] gradients) together = Run(shared);
        Assert.Equal(alone.loss, together.loss, 1e-6);
        Assert.Contains(alone.gradients, g => g.Any(v => Math.Abs(v) > 1e-3));
        for (int i = 0; i < alone.gradients.Length; i++)
        {
            for (int j = 0; j < alone.gradients[i].Length; j++)
            {
                Assert.Equal(alone.gradients[i][j], together.gradients[i][j], 1e-6);
            }
        }

        (double, float[][]) Run(StepShape shape)
        {
            TrainingStep step = graphs.Training(shape, layer, dropout: false, scale: 1);
            loaded.Parameters.ZeroGradients();
            buffers.Upload(backend, examples, step.Inputs, graphs.PromptTokens);
            step.Graph.RunForward();
            step.Graph.RunBackward();
            return (backend.Floats(step.Loss)[0], [.. loaded.Parameters.Trained.Select(p => backend.Floats(p.Gradient!))]);
        }
    }

    [Fact]
    public void A_step_is_recorded_for_each_scale_and_with_and_without_dropout()
    {
        TinyModel tiny = Tiny("bert");
        using TemporaryFolder folder = new();
        tiny.Write(folder.Root);
        using ReferenceBackend backend = new();
        using LoadedDvp loaded = TinyDvp.Create(folder.Root, TinyDvp.Config(tiny, 1, adapters: true), backend);
        using StepGraphs graphs = new(loaded.Model, backend, TinyDvp.VisualTokens);
        StepShape shape = new(2, 4);
        TrainingStep[] steps =
            [graphs.Training(shape, 1, true, 1), graphs.Training(shape, 1, false, 1), graphs.Training(shape, 1, true, 0.5f)];
        Assert.Equal(steps.Length, steps.Distinct().Count());
        Assert.Same(steps[0], graphs.Training(shape, 1, true, 1));
    }

    [Theory]
    [InlineData("bert", PromptKind.Dynamic)]
    [InlineData("bert", PromptKind.None)]
    [InlineData("t5", PromptKind.Dynamic)]
    [InlineData("t5", PromptKind.None)]
    [InlineData("llama", PromptKind.Dynamic)]
    [InlineData("llama", PromptKind.None)]
    public void Logits_of_a_padded_last_batch_are_those_of_single_examples(string model, PromptKind kind)
    {
        TinyModel tiny = Tiny(model);
        using TemporaryFolder folder = new();
        tiny.Write(folder.Root);
        using ReferenceBackend backend = new();
        using LoadedDvp loaded = TinyDvp.Create(folder.Root, TinyDvp.Config(tiny, 1, adapters: true, kind), backend);
        TrainingSet set = Repeating(tiny);
        using StepGraphs graphs = new(loaded.Model, backend, TinyDvp.VisualTokens);
        float[] batched = new Predictor(loaded.Model, graphs, batch: 5).Logits(set, layer: 1);
        float[] single = new Predictor(loaded.Model, graphs, batch: 1).Logits(set, layer: 1);
        Assert.Equal(single.Length, batched.Length);
        for (int i = 0; i < single.Length; i++)
        {
            Assert.Equal(single[i], batched[i], 1e-6);
        }
    }

    private static TinyModel Tiny(string model) => model switch
    {
        "t5" => new TinyT5 { Dropout = 0 },
        "llama" => new TinyLlama { Dropout = 0 },
        _ => new TinyBert { Dropout = 0 },
    };

    /// <summary>Eight examples with three different texts, in mixed order, each with a picture and answers of its own.</summary>
    private static TrainingSet Repeating(TinyModel model)
    {
        TrainingSet some = TinyDvp.Examples(model, 8, seed: 5);
        int[] texts = [0, 1, 0, 2, 2, 0, 1, 0];
        return new TrainingSet(
            some.Features, some.LabelCount,
            [.. texts.Select(t => some.Tokens(t).ToArray())],
            [.. Enumerable.Range(0, 8)],
            [.. Enumerable.Range(0, 8).Select(e => some.Answers(e).Select(a => a.Label).ToArray())],
            [.. Enumerable.Range(0, 8).Select(e => some.Answers(e).Select(a => a.Score).ToArray())]);
    }
}
