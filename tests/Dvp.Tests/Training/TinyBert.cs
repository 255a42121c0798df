using Dvp.Models.Bert;

namespace Dvp.Tests.Training;

/// <summary>A small random BERT.</summary>
internal sealed record TinyBert : TinyModel
{
    public int Positions { get; init; } = 8;

    public override string Type => "bert";

    public override IEnumerable<(string Name, int[] Shape)> Shapes()
    {
        (int c, int inner) = (Channels, Intermediate);
        yield return ("embeddings.word_embeddings.weight", [Vocabulary, c]);
        yield return ("embeddings.position_embeddings.weight", [Positions, c]);
        yield return ("embeddings.token_type_embeddings.weight", [2, c]);
        yield return ("embeddings.LayerNorm.weight", [c]);
        yield return ("embeddings.LayerNorm.bias", [c]);
        for (int i = 0; i < Layers; i++)
        {
            string layer = $"encoder.layer.{i}.";
            foreach ((string part, int rows, int columns) in new[]
            {
                ("attention.self.query", c, c), ("attention.self.key", c, c), ("attention.self.value", c, c),
                ("attention.output.dense", c, c), ("intermediate.dense", inner, c), ("output.dense", c, inner),
            })
            {
                yield return ($"{layer}{part}.weight", [rows, columns]);
                yield return ($"{layer}{part}.bias", [rows]);
            }

            foreach (string norm in (string[])["attention.output.LayerNorm", "output.LayerNorm"])
            {
                yield return ($"{layer}{norm}.weight", [c]);
                yield return ($"{layer}{norm}.bias", [c]);
            }
        }
    }

    /// <summary>The folder's sizes as the library reads them.</summary>
    public BertConfig Config(string folder) => BertConfig.Load(folder);

    protected override bool IsNorm(string name) => name.EndsWith("LayerNorm.weight", StringComparison.Ordinal);

    protected override string Settings(string dropout) => $$"""
        { "model_type": "bert", "vocab_size": {{Vocabulary}}, "hidden_size": {{Channels}}, "num_hidden_layers": {{Layers}},
          "num_attention_heads": {{Heads}}, "intermediate_size": {{Intermediate}}, "max_position_embeddings": {{Positions}},
          "hidden_act": "gelu", "hidden_dropout_prob": {{dropout}}, "attention_probs_dropout_prob": {{dropout}} }
        """;
}
