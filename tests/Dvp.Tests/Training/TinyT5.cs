namespace Dvp.Tests.Training;

/// <summary>A small random T5: two encoder layers, heads that do not fill the channels, gated or not.</summary>
internal sealed record TinyT5 : TinyModel
{
    private const int EncoderLayers = 2;
    private const int HeadSize = 3;
    private const int Buckets = 8;

    public bool Gated { get; init; }

    public override string Type => "t5";

    public override IEnumerable<(string Name, int[] Shape)> Shapes()
    {
        yield return ("shared.weight", [Vocabulary, Channels]);
        foreach ((string stack, int layers) in new[] { ("encoder", EncoderLayers), ("decoder", Layers) })
        {
            for (int i = 0; i < layers; i++)
            {
                string block = $"{stack}.block.{i}.layer.";
                foreach ((string, int[]) tensor in Attention(block + "0.", "SelfAttention"))
                {
                    yield return tensor;
                }

                if (i == 0)
                {
                    yield return (block + "0.SelfAttention.relative_attention_bias.weight", [Buckets, Heads]);
                }

                foreach ((string, int[]) tensor in stack == "decoder" ? Attention(block + "1.", "EncDecAttention") : [])
                {
                    yield return tensor;
                }

                string last = block + (stack == "decoder" ? "2." : "1.");
                foreach (string wi in Gated ? (string[])["wi_0", "wi_1"] : ["wi"])
                {
                    yield return ($"{last}DenseReluDense.{wi}.weight", [Intermediate, Channels]);
                }

                yield return (last + "DenseReluDense.wo.weight", [Channels, Intermediate]);
                yield return (last + "layer_norm.weight", [Channels]);
            }

            yield return (stack + ".final_layer_norm.weight", [Channels]);
        }
    }

    protected override bool IsNorm(string name) => name.EndsWith("layer_norm.weight", StringComparison.Ordinal);

    protected override string Settings(string dropout) => $$"""
        { "model_type": "t5", "vocab_size": {{Vocabulary}}, "d_model": {{Channels}}, "d_kv": {{HeadSize}}, "num_heads": {{Heads}},
          "d_ff": {{Intermediate}}, "num_layers": {{EncoderLayers}}, "num_decoder_layers": {{Layers}},
          "feed_forward_proj": "{{(Gated ? "gated-gelu" : "relu")}}", "dropout_rate": {{dropout}}, "decoder_start_token_id": 3,
          "relative_attention_num_buckets": {{Buckets}}, "relative_attention_max_distance": 12 }
        """;

    private IEnumerable<(string Name, int[] Shape)> Attention(string layer, string attention)
    {
        int inner = Heads * HeadSize;
        foreach (string part in (string[])["q", "k", "v"])
        {
            yield return ($"{layer}{attention}.{part}.weight", [inner, Channels]);
        }

        yield return ($"{layer}{attention}.o.weight", [Channels, inner]);
        yield return (layer + "layer_norm.weight", [Channels]);
    }
}
