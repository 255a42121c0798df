using Dvp.Engine.Autograd;
using Dvp.Engine.Devices;
using Dvp.Engine.Nn;
using Dvp.Engine.Tensors;

namespace Dvp.Models.Bert;

/// <summary>The masked-language-model head: dense, activation, norm, and the word embedding as output matrix.</summary>
public sealed class BertMaskedLanguageModelHead
{
    private readonly BertConfig _config;
    private readonly ParameterBlock _words;
    private readonly ParameterBlock _dense;
    private readonly ParameterBlock _denseBias;
    private readonly ParameterBlock _gamma;
    private readonly ParameterBlock _beta;
    private readonly ParameterBlock _bias;

    /// <summary>Makes the parameters below <c>cls.predictions</c>; the output matrix is the encoder's word embedding.</summary>
    public BertMaskedLanguageModelHead(BertModel model, ParameterBuilder parameters)
    {
        _config = model.Config;
        _words = model.Words;
        int c = _config.HiddenSize;
        ParameterBuilder transform = parameters["transform"];
        _dense = transform.Matrix("dense.weight", c, c);
        _denseBias = transform.Vector("dense.bias", c);
        _gamma = transform.Vector("LayerNorm.weight", c);
        _beta = transform.Vector("LayerNorm.bias", c);
        _bias = parameters.Vector("bias", _config.VocabularySize);
    }

    /// <summary>Records the logits of every token.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="h">(B, T, C)</param>
    /// <returns>(B, T, vocabulary)</returns>
    public Variable Forward(Graph graph, Variable h)
    {
        Variable t = graph.Linear(h, _dense, _denseBias, _config.Activation);
        t = graph.LayerNorm(t, null, _gamma, _beta, _config.NormEpsilon);
        return graph.Linear(t, _words, _bias, Activation.None);
    }
}
