using System.Globalization;
using Dvp.Engine;
using Dvp.Engine.IO;

namespace Dvp.Tests.Training;

/// <summary>A small random language model in a Hugging Face folder: no two parameters alike, norms and biases not at 1 and 0.</summary>
internal abstract record TinyModel
{
    public int Layers { get; init; } = 3;

    public int Channels { get; init; } = 8;

    public int Heads { get; init; } = 2;

    public int Intermediate { get; init; } = 12;

    public int Vocabulary { get; init; } = 11;

    public float Dropout { get; init; } = 0.1f;

    /// <summary>Standard deviation of matrices and tables.</summary>
    public double Deviation { get; init; } = 0.3;

    /// <summary>Standard deviation of norms around 1 and of biases around 0.</summary>
    public double VectorDeviation { get; init; } = 0.2;

    public ulong Seed { get; init; } = 1;

    /// <summary>The family, as DVP configurations name it.</summary>
    public abstract string Type { get; }

    /// <summary>The token that every text must end with; -1 for none.</summary>
    public virtual int EndToken => -1;

    /// <summary>Names and shapes of all parameters, in the order of the model.</summary>
    public abstract IEnumerable<(string Name, int[] Shape)> Shapes();

    /// <summary>Writes the folder.</summary>
    public string Write(string folder)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "config.json"), Settings(Dropout.ToString(CultureInfo.InvariantCulture)));
        SafetensorsWriter.Write(Path.Combine(folder, "model.safetensors"), Tensors());
        return folder;
    }

    /// <summary>The text of <c>config.json</c>.</summary>
    protected abstract string Settings(string dropout);

    /// <summary>Whether a vector is the factor of a norm.</summary>
    protected abstract bool IsNorm(string name);

    private IEnumerable<TensorContent> Tensors()
    {
        uint stream = 0;
        foreach ((string name, int[] shape) in Shapes())
        {
            float[] values = new float[shape.Aggregate(1, (a, b) => a * b)];
            new SeededRandom(Seed, ++stream).FillNormal(values, IsNorm(name) ? 1 : 0, shape.Length == 1 ? VectorDeviation : Deviation);
            yield return TensorContent.FromFloats(name, shape, values);
        }
    }
}
