using Dvp.Engine.Autograd;
using Dvp.Engine.Nn;
using Dvp.Engine.Tensors;

namespace Dvp.Prompting;

/// <summary>
/// The part that turns visual tokens into prompt tokens for one insertion layer: for DVP the cross-attention of the paper's section 3
/// (query projection, absorbed keys and values, output projection), for the baselines a linear map; and E, the type embeddings.
/// </summary>
public sealed class PromptModule
{
    private readonly PromptConfig _config;
    private readonly PromptKind _kind;
    private readonly ParameterBlock? _q;
    private readonly ParameterBlock? _qBias;
    private readonly ParameterBlock? _k;
    private readonly ParameterBlock? _v;
    private readonly ParameterBlock? _vBias;
    private readonly ParameterBlock? _merge;
    private readonly ParameterBlock? _mergeBias;
    private readonly ParameterBlock? _map;
    private readonly ParameterBlock? _mapBias;
    private readonly ParameterBlock? _types;

    /// <summary>Makes the parameters of a prompt.</summary>
    /// <param name="config">Sizes.</param>
    /// <param name="kind">Which way the picture enters.</param>
    /// <param name="channels">C of the language model.</param>
    /// <param name="parameters">Names at the root, or below <c>search.k</c> for a candidate.</param>
    /// <param name="initial">Values of what the checkpoint lacks.</param>
    /// <param name="scope">Prefix of the names, for the draws of initial values.</param>
    /// <param name="types">Whether text and prompt have type embeddings: BERT and T5, not LLaMA.</param>
    public PromptModule(
        PromptConfig config, PromptKind kind, int channels, ParameterBuilder parameters, InitialValues initial, string scope = "",
        bool types = true)
    {
        _config = config;
        _kind = kind;
        (int m, int v) = (config.HiddenSize, config.VisualSize);
        if (kind == PromptKind.Dynamic)
        {
            ParameterBuilder prompt = parameters["prompt"];
            (_q, _qBias) = Linear("linear_q", m, channels);
            (_k, _) = Linear("linear_k", m, v); // its bias cancels in the softmax; it is kept because published files have it
            (_v, _vBias) = Linear("linear_v", m, v);
            (_merge, _mergeBias) = Linear("linear_merge", channels, m);

            (ParameterBlock, ParameterBlock) Linear(string name, int outputs, int inputs) => (
                prompt.Matrix(name + ".weight", outputs, inputs, initial.Uniform(scope + name + ".weight", inputs)),
                prompt.Vector(name + ".bias", outputs, initial.Uniform(scope + name + ".bias", inputs)));
        }
        else
        {
            _map = parameters.Matrix("visual_projection.weight", channels, v, initial.Uniform("visual_projection.weight", v));
            _mapBias = parameters.Vector("visual_projection.bias", channels, initial.Uniform("visual_projection.bias", v));
        }

        _types = !types ? null : parameters.Table(
            "token_type_embeddings.weight", 2, channels, initial.Normal(scope + "token_type_embeddings", initial.TypeDeviation));
    }

    /// <summary>Number of tokens that <see cref="Insert"/> puts before the text.</summary>
    public int TokensFor(int visualTokens) => _kind switch
    {
        PromptKind.AllTokens => visualTokens,
        PromptKind.MeanPooled => 1,
        _ => _config.Prompts,
    };

    /// <summary>Records the prompt and its insertion before the text.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="query">(B, C) the state that asks the picture; the baselines do not look at it</param>
    /// <param name="h">(B, T, C) state of the text at depth K</param>
    /// <param name="visual">(B, N, V) visual tokens</param>
    /// <param name="attention">Receives the probabilities (B, H, P, N) of the prompt attention; null for the baselines.</param>
    /// <param name="prompt">Receives the prompt (B, P, C) before its type embedding is added.</param>
    /// <returns>(B, P + T, C)</returns>
    public Variable Insert(
        Graph graph, Variable query, Variable h, Variable visual, out Tensor? attention, out Variable prompt)
    {
        (int batch, int channels) = (h.Value.Extent(0), h.Value.Columns);
        attention = null;
        if (_kind == PromptKind.Dynamic)
        {
            Variable q = graph.Reshape(graph.Linear(query, _q!, _qBias), batch, 1, _config.HiddenSize);
            (Variable context, attention) = graph.PromptAttention(q, visual, _k!, _v!, _vBias!, _config.Heads, _config.Dropout);
            prompt = graph.Linear(context, _merge!, _mergeBias);
        }
        else
        {
            Variable tokens = _kind == PromptKind.MeanPooled
                ? graph.Reshape(graph.MeanTokens(visual), batch, 1, _config.VisualSize)
                : visual;
            prompt = graph.Linear(tokens, _map!, _mapBias);
        }

        return graph.InsertPrompt(graph.Reshape(prompt, batch, prompt.Value.Extent(1), channels), h, _types);
    }
}
