using Dvp.Models.Bert;
using Dvp.Models.Llama;
using Dvp.Models.T5;
using Dvp.Tests.IO;
using Xunit;

namespace Dvp.Tests.Models;

/// <summary>Values of a <c>config.json</c> that no model can have are named before anything is computed with them.</summary>
public sealed class ModelConfigTests : IDisposable
{
    private const string Llama = """
        {"model_type": "llama", "vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8, @}
        """;

    private const string T5 = """
        {"model_type": "t5", "vocab_size": 9, "d_model": 8, "d_kv": 4, "num_heads": 2, "d_ff": 8, "num_layers": 1, @}
        """;

    private const string Bert = """
        {"model_type": "bert", "vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8,
         "max_position_embeddings": 8, @}
        """;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(Llama, "\"attention_bias\": true", "attention_bias must be false")]
    [InlineData(Llama, "\"num_key_value_heads\": 3", "num_key_value_heads must divide num_attention_heads (2)")]
    [InlineData(Llama, "\"head_dim\": 3", "head_dim must be even")]
    [InlineData(Llama, "\"rope_scaling\": {\"rope_type\": \"yarn\"}", "rope_type must be default or llama3, found yarn")]
    [InlineData(Llama, "\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 0, \"low_freq_factor\": 1, \"high_freq_factor\": 4, \"original_max_position_embeddings\": 8}", "factor must be above 0, found 0")]
    [InlineData(Llama, "\"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 4, \"high_freq_factor\": 4, \"original_max_position_embeddings\": 8}", "high_freq_factor must be above low_freq_factor (4), found 4")]
    [InlineData(Llama, "\"eos_token_id\": []", "eos_token_id must name a token")]
    [InlineData(T5, "\"dropout_rate\": 1", "dropout_rate must be at least 0 and below 1, found 1")]
    [InlineData(T5, "\"feed_forward_proj\": \"gated-sine\"", "feed_forward_proj must be")]
    [InlineData(T5, "\"relative_attention_num_buckets\": 3", "relative_attention_num_buckets must be even")]
    [InlineData(T5, "\"relative_attention_max_distance\": 16", "relative_attention_max_distance must be more than 16")]
    [InlineData(T5, "\"decoder_start_token_id\": 9", "decoder_start_token_id must be a token below 9")]
    [InlineData(Bert, "\"hidden_dropout_prob\": -0.5", "hidden_dropout_prob must be at least 0 and below 1, found -0.5")]
    [InlineData(Bert, "\"attention_probs_dropout_prob\": 1.5", "attention_probs_dropout_prob must be at least 0 and below 1, found 1.5")]
    public void An_impossible_value_is_named(string config, string change, string problem)
    {
        Load("\"unused\": 0"); // it is the change that is refused
        Expect.Error(problem, () => Load(change));

        object Load(string more)
        {
            File.WriteAllText(_folder["config.json"], config.Replace("@", more, StringComparison.Ordinal));
            return config == Llama ? LlamaConfig.Load(_folder.Root) : config == T5 ? T5Config.Load(_folder.Root) : BertConfig.Load(_folder.Root);
        }
    }
}
