using Dvp.Engine;
using Dvp.Engine.Autograd;
using Dvp.Engine.Devices;
using Dvp.Engine.Nn;
using Dvp.Engine.Tensors;
using Dvp.Models.Bert;
using Dvp.Models.Clip;
using Dvp.Prompting;
using Dvp.Training;

namespace Dvp.Peers;

/// <summary>Weights of the right size and scale; times do not depend on their values.</summary>
internal sealed class AnyValues : IParameterValues
{
    private readonly SeededRandom _random = new(seed: 7);

    public bool TryRead(string name, ReadOnlySpan<int> shape, Span<float> destination)
    {
        if (name.Contains("norm", StringComparison.OrdinalIgnoreCase) && name.EndsWith("weight", StringComparison.Ordinal))
        {
            destination.Fill(1);
        }
        else
        {
            _random.FillUniform(destination, -0.03, 0.03);
        }

        return true;
    }
}

/// <summary>DVP-BERT-base with adapters, 16 text tokens, 197 visual tokens of 768, 3129 answers: the shapes of the peers' graphs.</summary>
internal sealed class OursBert : IDisposable
{
    private readonly ParameterSet _parameters;
    private readonly StepGraphs _graphs;
    private readonly InferenceStep _step;
    private readonly Backend _backend;
    private readonly float[] _logits;

    public OursBert(Backend backend, int batch, int layer)
    {
        _backend = backend;
        _parameters = new ParameterSet(backend);
        BertConfig bert = new() { VocabularySize = 30522, HiddenSize = 768, Layers = 12, Heads = 12, IntermediateSize = 3072, MaximumPositions = 512 };
        DvpConfig config = new()
        {
            Layer = layer,
            Prompt = new PromptConfig(768, 12, 768),
            Adapters = new AdapterConfig(96),
            Head = new HeadConfig(1536, 3129),
        };
        DvpBert model = new(config, bert, new ParameterBuilder(_parameters, new AnyValues(), _ => false), new InitialValues(1));
        _graphs = new StepGraphs(model, backend, visualTokens: 197);
        _step = _graphs.Inference(new StepShape(batch, 16), layer);
        _logits = new float[batch * 3129];
        backend.Upload(_step.Inputs.Ids, [.. Enumerable.Range(0, batch * 16).Select(i => 1000 + i)]);
        backend.Upload(_step.Inputs.TextMask, [.. Enumerable.Repeat(1, batch * 16)]);
        backend.Upload(_step.Inputs.FullMask!, [.. Enumerable.Repeat(1, batch * 17)]);
        float[] visual = new float[batch * 197 * 768];
        new SeededRandom(3).FillNormal(visual, 0, 1);
        backend.Upload(_step.Inputs.Visual!, visual);
    }

    public void Run()
    {
        _step.Work.Run();
        _backend.Download(_logits, _step.Outputs.Logits.Value);
    }

    public void Dispose()
    {
        _graphs.Dispose();
        _parameters.Dispose();
    }
}

/// <summary>CLIP ViT-B/16 at 224 pixels.</summary>
internal sealed class OursClip : IDisposable
{
    private readonly ParameterSet _parameters;
    private readonly Arena _arena;
    private readonly Graph _graph;
    private readonly Variable _tokens;
    private readonly Backend _backend;
    private readonly float[] _result;

    public OursClip(Backend backend, int batch)
    {
        _backend = backend;
        _parameters = new ParameterSet(backend);
        _arena = new Arena(backend);
        ClipVisionConfig config = new() { HiddenSize = 768, IntermediateSize = 3072, Layers = 12, Heads = 12, ImageSize = 224, PatchSize = 16 };
        ClipVisionModel model = new(config, new ParameterBuilder(_parameters, new AnyValues(), _ => false));
        _graph = new Graph(backend, _arena, training: false);
        Variable pixels = _graph.Input(ElementType.F32, batch, 3, 224, 224);
        _tokens = model.Forward(_graph, pixels);
        float[] values = new float[batch * 3 * 224 * 224];
        new SeededRandom(5).FillNormal(values, 0, 1);
        backend.Upload(pixels.Value, values);
        _result = new float[_tokens.Value.Count];
    }

    public void Run()
    {
        _graph.RunForward();
        _backend.Download(_result, _tokens.Value);
    }

    public void Dispose()
    {
        _arena.Dispose();
        _parameters.Dispose();
    }
}
