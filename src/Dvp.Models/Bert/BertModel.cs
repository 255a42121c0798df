using Dvp.Engine.Autograd;
using Dvp.Engine.Devices;
using Dvp.Engine.Nn;
using Dvp.Engine.Tensors;

namespace Dvp.Models.Bert;

/// <summary>The BERT encoder (Devlin et al. 2019), in the parts that Dynamic Visual Prompting puts together: embeddings and single layers.</summary>
public sealed class BertModel
{
    private readonly ParameterBlock _words;
    private readonly ParameterBlock _positions;
    private readonly ParameterBlock _types;
    private readonly ParameterBlock _gamma;
    private readonly ParameterBlock _beta;
    private readonly BertLayer[] _layers;
    private readonly ParameterBlock? _pooler;
    private readonly ParameterBlock? _poolerBias;

    /// <summary>Makes the parameters of an encoder.</summary>
    /// <param name="config">Sizes.</param>
    /// <param name="parameters">Names below the encoder's prefix.</param>
    /// <param name="pooler">Whether to load the pooler, which Dynamic Visual Prompting does not use.</param>
    public BertModel(BertConfig config, ParameterBuilder parameters, bool pooler = false)
    {
        Config = config;
        int c = config.HiddenSize;
        ParameterBuilder embeddings = parameters["embeddings"];
        _words = embeddings.Table("word_embeddings.weight", config.VocabularySize, c);
        _positions = embeddings.Table("position_embeddings.weight", config.MaximumPositions, c);
        _types = embeddings.Table("token_type_embeddings.weight", config.TokenTypes, c);
        _gamma = embeddings.Vector("LayerNorm.weight", c);
        _beta = embeddings.Vector("LayerNorm.bias", c);
        _layers = new BertLayer[config.Layers];
        for (int i = 0; i < _layers.Length; i++)
        {
            _layers[i] = new BertLayer(config, parameters["encoder"][$"layer.{i}"]);
        }

        if (pooler)
        {
            _pooler = parameters.Matrix("pooler.dense.weight", c, c);
            _poolerBias = parameters.Vector("pooler.dense.bias", c);
        }
    }

    /// <summary>Sizes.</summary>
    public BertConfig Config { get; }

    /// <summary>The layers, first to last.</summary>
    public IReadOnlyList<BertLayer> Layers => _layers;

    /// <summary>The word embedding, which the masked-language-model head shares.</summary>
    public ParameterBlock Words => _words;

    /// <summary>Records words + positions + types, their norm and dropout.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="ids">I32 (B, T)</param>
    /// <param name="typeIds">I32 (B, T), or null for type 0</param>
    /// <returns>(B, T, C)</returns>
    public Variable Embed(Graph graph, Variable ids, Variable? typeIds = null)
    {
        Variable sum = graph.Embedding(ids, _words, _positions, _types, typeIds, Config.PaddingId);
        return graph.Dropout(graph.LayerNorm(sum, null, _gamma, _beta, Config.NormEpsilon), Config.HiddenDropout);
    }

    /// <summary>Records the pooler: tanh(dense(h[:, 0])).</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="h">(B, T, C)</param>
    /// <returns>(B, C)</returns>
    /// <exception cref="InvalidOperationException">The model was made without its pooler.</exception>
    public Variable Pool(Graph graph, Variable h) => _pooler is null
        ? throw new InvalidOperationException("This encoder was loaded without its pooler.")
        : graph.Linear(graph.Token(h, 0), _pooler, _poolerBias, Activation.Tanh);
}
