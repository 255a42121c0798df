using System.Globalization;
using Dvp.Engine;
using Dvp.Engine.IO;
using Dvp.Models.Bert;

namespace Dvp.Tests.Training;

/// <summary>A small random BERT in a Hugging Face folder: no two parameters alike, norms and biases not at 1 and 0.</summary>
internal sealed record TinyBert
{
    public int Layers { get; init; } = 3;

    public int Channels { get; init; } = 8;

    public int Heads { get; init; } = 2;

    public int Intermediate { get; init; } = 12;

    public int Vocabulary { get; init; } = 11;

    public int Positions { get; init; } = 8;

    public float Dropout { get; init; } = 0.1f;

    /// <summary>Standard deviation of matrices and tables.</summary>
    public double Deviation { get; init; } = 0.3;

    /// <summary>Standard deviation of norms around 1 and of biases around 0.</summary>
    public double VectorDeviation { get; init; } = 0.2;

    public ulong Seed { get; init; } = 1;

    /// <summary>Writes the folder.</summary>
    public string Write(string folder)
    {
        Directory.CreateDirectory(folder);
        string dropout = Dropout.ToString(CultureInfo.InvariantCulture);
        File.WriteAllText(Path.Combine(folder, "config.json"), $$"""
            { "model_type": "bert", "vocab_size": {{Vocabulary}}, "hidden_size": {{Channels}}, "num_hidden_layers": {{Layers}},
              "num_attention_heads": {{Heads}}, "intermediate_size": {{Intermediate}}, "max_position_embeddings": {{Positions}},
              "hidden_act": "gelu", "hidden_dropout_prob": {{dropout}}, "attention_probs_dropout_prob": {{dropout}} }
            """);
        SafetensorsWriter.Write(Path.Combine(folder, "model.safetensors"), Tensors());
        return folder;
    }

    /// <summary>Names and shapes of all parameters, in the order of the model.</summary>
    public IEnumerable<(string Name, int[] Shape)> Shapes()
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

    private IEnumerable<TensorContent> Tensors()
    {
        uint stream = 0;
        foreach ((string name, int[] shape) in Shapes())
        {
            float[] values = new float[shape.Aggregate(1, (a, b) => a * b)];
            bool norm = name.EndsWith("LayerNorm.weight", StringComparison.Ordinal);
            new SeededRandom(Seed, ++stream).FillNormal(values, norm ? 1 : 0, shape.Length == 1 ? VectorDeviation : Deviation);
            yield return TensorContent.FromFloats(name, shape, values);
        }
    }

    /// <summary>The folder's sizes as the library reads them.</summary>
    public BertConfig Config(string folder) => BertConfig.Load(folder);
}
