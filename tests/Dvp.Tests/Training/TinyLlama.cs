namespace Dvp.Tests.Training;

/// <summary>A small random LLaMA: two query heads on one key head, heads that do not fill the channels.</summary>
internal sealed record TinyLlama : TinyModel
{
    private const int HeadSize = 6;

    public override string Type => "llama";

    public override int EndToken => 2;

    public override IEnumerable<(string Name, int[] Shape)> Shapes()
    {
        yield return ("model.embed_tokens.weight", [Vocabulary, Channels]);
        for (int i = 0; i < Layers; i++)
        {
            string layer = $"model.layers.{i}.";
            yield return (layer + "self_attn.q_proj.weight", [Heads * HeadSize, Channels]);
            yield return (layer + "self_attn.k_proj.weight", [HeadSize, Channels]);
            yield return (layer + "self_attn.v_proj.weight", [HeadSize, Channels]);
            yield return (layer + "self_attn.o_proj.weight", [Channels, Heads * HeadSize]);
            yield return (layer + "mlp.gate_proj.weight", [Intermediate, Channels]);
            yield return (layer + "mlp.up_proj.weight", [Intermediate, Channels]);
            yield return (layer + "mlp.down_proj.weight", [Channels, Intermediate]);
            yield return (layer + "input_layernorm.weight", [Channels]);
            yield return (layer + "post_attention_layernorm.weight", [Channels]);
        }

        yield return ("model.norm.weight", [Channels]);
    }

    protected override bool IsNorm(string name) => name.EndsWith("norm.weight", StringComparison.Ordinal);

    protected override string Settings(string dropout) => $$"""
        { "model_type": "llama", "vocab_size": {{Vocabulary}}, "hidden_size": {{Channels}}, "num_hidden_layers": {{Layers}},
          "num_attention_heads": {{Heads}}, "num_key_value_heads": 1, "head_dim": {{HeadSize}}, "intermediate_size": {{Intermediate}},
          "max_position_embeddings": 16, "rope_theta": 100.0, "eos_token_id": {{EndToken}}, "pad_token_id": 0 }
        """;
}
