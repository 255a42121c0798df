using Dvp.Engine.Devices;
using Dvp.Prompting;

namespace Dvp.Training;

/// <summary>Answers of a model to the examples of a set, in evaluation mode.</summary>
public sealed class Predictor
{
    private readonly DvpLanguageModel _model;
    private readonly StepGraphs _graphs;
    private readonly int _batch;

    /// <summary>Makes a predictor that shares recorded steps.</summary>
    /// <param name="model">The model.</param>
    /// <param name="graphs">Recorded steps.</param>
    /// <param name="batch">Examples of one pass.</param>
    public Predictor(DvpLanguageModel model, StepGraphs graphs, int batch = 64)
    {
        _model = model;
        _graphs = graphs;
        _batch = batch;
    }

    /// <summary>Logits of every example.</summary>
    /// <param name="set">The examples.</param>
    /// <param name="layer">K</param>
    /// <returns>(examples, answers), row by row</returns>
    public float[] Logits(TrainingSet set, int layer)
    {
        int labels = set.LabelCount;
        float[] all = new float[set.Count * labels];
        int[] order = [.. Enumerable.Range(0, set.Count)];
        Array.Sort(order, (a, b) => set.Tokens(a).Length != set.Tokens(b).Length
            ? set.Tokens(a).Length.CompareTo(set.Tokens(b).Length)
            : set.Text(a) != set.Text(b) ? set.Text(a).CompareTo(set.Text(b)) : a.CompareTo(b)); // equal texts are computed once
        int batch = Math.Min(_batch, set.Count);
        BatchBuffers buffers = new(set, _model);
        float[] rows = new float[batch * labels];
        for (int start = 0; start < order.Length; start += batch)
        {
            ReadOnlySpan<int> examples = order.AsSpan(start, Math.Min(batch, order.Length - start));
            InferenceStep step = Prepare(buffers, examples, batch, layer);
            step.Work.Run();
            _graphs.Backend.Download(rows, step.Outputs.Logits.Value);
            for (int i = 0; i < examples.Length; i++)
            {
                rows.AsSpan(i * labels, labels).CopyTo(all.AsSpan(examples[i] * labels));
            }
        }

        return all;
    }

    /// <summary>Copies one batch to the device: what is left is the work of its pass, which may run any number of times.</summary>
    internal RecordedWork Prepare(TrainingSet set, ReadOnlySpan<int> examples, int layer) =>
        Prepare(new BatchBuffers(set, _model), examples, examples.Length, layer).Work;

    /// <summary>The most probable answer of every example.</summary>
    public int[] Answers(TrainingSet set, int layer) => Best(Logits(set, layer), set.LabelCount);

    /// <summary>Mean score of the most probable answers, in [0, 1].</summary>
    public double Accuracy(TrainingSet set, int layer)
    {
        int[] answers = Answers(set, layer);
        double sum = 0;
        for (int e = 0; e < answers.Length; e++)
        {
            sum += set.Score(e, answers[e]);
        }

        return sum / Math.Max(1, answers.Length);
    }

    /// <summary>Scores of several insertion layers on one batch: the text below the layers is computed once (exact).</summary>
    /// <param name="set">The examples.</param>
    /// <param name="examples">At most one batch of them.</param>
    /// <param name="layers">The arms, as drawn; a layer that comes twice is computed once.</param>
    /// <param name="scores">Mean score in percent, as many as layers.</param>
    public void ScoreLayers(TrainingSet set, ReadOnlySpan<int> examples, ReadOnlySpan<int> layers, Span<double> scores)
    {
        Backend backend = _graphs.Backend;
        BatchBuffers buffers = new(set, _model);
        PrefixStep prefix = _graphs.Prefix(buffers.Shape(examples, examples.Length, share: true));
        buffers.Upload(backend, examples, prefix.Inputs, _graphs.PromptTokens);
        prefix.Work.Run();
        float[] logits = new float[examples.Length * set.LabelCount];
        for (int j = 0; j < layers.Length; j++)
        {
            int before = layers[..j].IndexOf(layers[j]);
            if (before >= 0)
            {
                scores[j] = scores[before];
                continue;
            }

            InferenceStep suffix = _graphs.Suffix(prefix, layers[j]);
            suffix.Work.Run();
            backend.Download(logits, suffix.Outputs.Logits.Value);
            double sum = 0;
            for (int i = 0; i < examples.Length; i++)
            {
                sum += set.Score(examples[i], IndexOfLargest(logits.AsSpan(i * set.LabelCount, set.LabelCount)));
            }

            scores[j] = 100 * sum / examples.Length;
        }
    }

    /// <summary>The largest entry of every row.</summary>
    public static int[] Best(ReadOnlySpan<float> logits, int labels)
    {
        int[] best = new int[logits.Length / labels];
        for (int i = 0; i < best.Length; i++)
        {
            best[i] = IndexOfLargest(logits.Slice(i * labels, labels));
        }

        return best;
    }

    private InferenceStep Prepare(BatchBuffers buffers, ReadOnlySpan<int> examples, int batch, int layer)
    {
        InferenceStep step = _graphs.Inference(buffers.Shape(examples, batch, share: true), layer);
        buffers.Upload(_graphs.Backend, examples, step.Inputs, _graphs.PromptTokens);
        return step;
    }

    private static int IndexOfLargest(ReadOnlySpan<float> row)
    {
        int best = 0;
        for (int i = 1; i < row.Length; i++)
        {
            best = row[i] > row[best] ? i : best;
        }

        return best;
    }
}
