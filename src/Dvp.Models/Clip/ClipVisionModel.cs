using Dvp.Engine.Autograd;
using Dvp.Engine.Devices;
using Dvp.Engine.Nn;
using Dvp.Engine.Tensors;

namespace Dvp.Models.Clip;

/// <summary>
/// The vision transformer of CLIP (Radford et al. 2021), frozen. Its last hidden states of all tokens, before <c>post_layernorm</c>,
/// are the visual tokens of Dynamic Visual Prompting.
/// </summary>
public sealed class ClipVisionModel
{
    private readonly ParameterBlock _class;
    private readonly ParameterBlock _patches;
    private readonly ParameterBlock _positions;
    private readonly ParameterBlock _preGamma;
    private readonly ParameterBlock _preBeta;
    private readonly ParameterBlock _postGamma;
    private readonly ParameterBlock _postBeta;
    private readonly ParameterBlock? _projection;
    private readonly Block[] _blocks;

    /// <summary>Makes the parameters of a tower.</summary>
    /// <param name="config">Sizes.</param>
    /// <param name="parameters">Names at the root of the checkpoint.</param>
    public ClipVisionModel(ClipVisionConfig config, ParameterBuilder parameters)
    {
        Config = config;
        int c = config.HiddenSize;
        ParameterBuilder tower = parameters["vision_model"];
        ParameterBuilder embeddings = tower["embeddings"];
        _class = embeddings.Vector("class_embedding", c);
        _patches = embeddings.Convolution("patch_embedding.weight", c, 3, config.PatchSize);
        _positions = embeddings.Table("position_embedding.weight", config.Tokens, c);
        _preGamma = tower.Vector("pre_layrnorm.weight", c); // the published spelling
        _preBeta = tower.Vector("pre_layrnorm.bias", c);
        _blocks = new Block[config.Layers];
        for (int i = 0; i < _blocks.Length; i++)
        {
            _blocks[i] = new Block(config, tower["encoder"][$"layers.{i}"]);
        }

        _postGamma = tower.Vector("post_layernorm.weight", c);
        _postBeta = tower.Vector("post_layernorm.bias", c);
        _projection = config.ProjectionSize > 0 ? parameters.Matrix("visual_projection.weight", config.ProjectionSize, c) : null;
    }

    /// <summary>Sizes.</summary>
    public ClipVisionConfig Config { get; }

    /// <summary>Records the tower.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="pixels">(B, 3, S, S) normalised</param>
    /// <param name="states">Receives every named state, when all are asked for.</param>
    /// <returns>The visual tokens (B, N, V): the last hidden states of all tokens.</returns>
    public Variable Forward(Graph graph, Variable pixels, IDictionary<string, Variable>? states = null)
    {
        Variable patches = graph.Linear(graph.Patches(pixels, Config.PatchSize), _patches, null);
        Variable h = graph.VisionTokens(patches, _class, _positions);
        states?.Add("embeddings", h);
        h = graph.Stream(graph.LayerNorm(h, null, _preGamma, _preBeta, Config.NormEpsilon));
        states?.Add("hidden_states.0", h);
        for (int i = 0; i < _blocks.Length; i++)
        {
            (Block block, Variable below) = (_blocks[i], h);
            h = graph.Layer(i, () => block.Forward(graph, below));
            states?.Add($"hidden_states.{i + 1}", h);
        }

        graph.EndLayers();
        if (states is not null)
        {
            states.Add("last_hidden_state", h);
            Variable pooled = graph.LayerNorm(graph.Token(h, 0), null, _postGamma, _postBeta, Config.NormEpsilon);
            states.Add("pooler_output", pooled);
            if (_projection is not null)
            {
                states.Add("image_embeds", graph.Linear(pooled, _projection, null));
            }
        }

        return h;
    }

    /// <summary>One pre-norm block: h + attention(LN(h)), then h + mlp(LN(h)).</summary>
    private sealed class Block
    {
        private readonly ClipVisionConfig _config;
        private readonly ParameterBlock _gamma1;
        private readonly ParameterBlock _beta1;
        private readonly ParameterBlock _qkv;
        private readonly ParameterBlock _qkvBias;
        private readonly ParameterBlock _out;
        private readonly ParameterBlock _outBias;
        private readonly ParameterBlock _gamma2;
        private readonly ParameterBlock _beta2;
        private readonly ParameterBlock _fc1;
        private readonly ParameterBlock _fc1Bias;
        private readonly ParameterBlock _fc2;
        private readonly ParameterBlock _fc2Bias;

        public Block(ClipVisionConfig config, ParameterBuilder parameters)
        {
            _config = config;
            int c = config.HiddenSize;
            _gamma1 = parameters.Vector("layer_norm1.weight", c);
            _beta1 = parameters.Vector("layer_norm1.bias", c);
            ParameterBuilder attention = parameters["self_attn"];
            _qkv = attention.StackedMatrix(["q_proj.weight", "k_proj.weight", "v_proj.weight"], c, c);
            _qkvBias = attention.StackedVector(["q_proj.bias", "k_proj.bias", "v_proj.bias"], c);
            _out = attention.Matrix("out_proj.weight", c, c);
            _outBias = attention.Vector("out_proj.bias", c);
            _gamma2 = parameters.Vector("layer_norm2.weight", c);
            _beta2 = parameters.Vector("layer_norm2.bias", c);
            _fc1 = parameters.Matrix("mlp.fc1.weight", config.IntermediateSize, c);
            _fc1Bias = parameters.Vector("mlp.fc1.bias", config.IntermediateSize);
            _fc2 = parameters.Matrix("mlp.fc2.weight", c, config.IntermediateSize);
            _fc2Bias = parameters.Vector("mlp.fc2.bias", c);
        }

        public Variable Forward(Graph graph, Variable h)
        {
            AttentionOptions options = new(_config.Heads, _config.Heads, 1 / MathF.Sqrt(_config.HiddenSize / _config.Heads));
            Variable n = graph.LayerNorm(h, null, _gamma1, _beta1, _config.NormEpsilon);
            Variable context = graph.SelfAttention(graph.Linear(n, _qkv, _qkvBias), options, dropoutRate: 0);
            h = graph.Linear(context, _out, _outBias, Activation.None, residual: h);
            n = graph.LayerNorm(h, null, _gamma2, _beta2, _config.NormEpsilon);
            Variable f = graph.Linear(n, _fc1, _fc1Bias, _config.Activation);
            return graph.Linear(f, _fc2, _fc2Bias, Activation.None, residual: h);
        }
    }
}
