using System.Globalization;
using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;
using Dvp.Prompting;

namespace Dvp.Training;

/// <summary>The sizes that a recorded step is made for.</summary>
/// <param name="Batch">B, examples.</param>
/// <param name="Texts">D, different texts among them; equal to B where every example has its own.</param>
/// <param name="Length">T, tokens of the longest text.</param>
public readonly record struct StepShape(int Batch, int Texts, int Length)
{
    /// <summary>Every example with its own text.</summary>
    public StepShape(int batch, int length)
        : this(batch, batch, length)
    {
    }
}

/// <summary>Fills the inputs of a step from examples, in host memory that is reused from batch to batch.</summary>
public sealed class BatchBuffers
{
    private readonly TrainingSet _set;
    private readonly int _maximumLength;
    private readonly int _minimumLength;
    private readonly int _endToken;
    private int[] _ids = [];
    private int[] _mask = [];
    private int[] _fullMask = [];
    private int[] _rows = [];
    private int[] _owners = [];
    private int[] _labels = [];
    private int[] _ends = [];
    private float[] _visual = [];
    private float[] _targets = [];

    /// <summary>Makes buffers for a set.</summary>
    /// <param name="set">The examples.</param>
    /// <param name="model">The model that reads them: its longest text, to which longer ones were cut when the set was made; its padding; its end token.</param>
    public BatchBuffers(TrainingSet set, DvpLanguageModel model)
    {
        _set = set;
        _maximumLength = model.MaximumPositions;
        _minimumLength = model.MinimumLength;
        _endToken = model.EndToken;
    }

    /// <summary>The shape of a batch: T is its own longest text (the model's fixed length, where it has one), D the number of its different texts.</summary>
    /// <param name="examples">At most B examples.</param>
    /// <param name="batch">B</param>
    /// <param name="share">Whether equal texts are computed once. Not under dropout, where every example has its own.</param>
    public StepShape Shape(ReadOnlySpan<int> examples, int batch, bool share)
    {
        int longest = _minimumLength;
        foreach (int example in examples)
        {
            longest = Math.Max(longest, _set.Tokens(example).Length);
        }

        if (longest > _maximumLength)
        {
            throw new DvpException(
                $"A text has {longest} tokens, and the model takes {_maximumLength}; cut texts when they are tokenised.");
        }

        RequireSize((long)batch * _set.Features.Tokens * _set.Features.Channels, batch, "visual tokens");
        RequireSize((long)batch * _set.LabelCount, batch, "targets");
        if (!share)
        {
            return new StepShape(batch, longest);
        }

        // Few different shapes: D goes up to the next eighth of the batch.
        int step = Math.Max(1, batch / 8);
        int texts = (AssignTexts(examples) + step - 1) / step * step;
        return new StepShape(batch, Math.Min(batch, texts), longest);
    }

    /// <summary>Copies a batch to the device.</summary>
    /// <param name="backend">The device.</param>
    /// <param name="examples">At most B examples; fewer are padded with copies of the first, whose results are to be ignored.</param>
    /// <param name="inputs">Where to.</param>
    /// <param name="promptTokens">P</param>
    public void Upload(Backend backend, ReadOnlySpan<int> examples, StepInputs inputs, int promptTokens)
    {
        (int texts, int length) = (inputs.Ids.Extent(0), inputs.Ids.Extent(1));
        Grow(ref _ids, texts * length);
        Grow(ref _mask, texts * length);
        Array.Clear(_ids, 0, texts * length);
        Array.Clear(_mask, 0, texts * length);
        int known = inputs.Rows is null ? texts : AssignTexts(examples);
        for (int d = 0; d < texts; d++)
        {
            int example = inputs.Rows is not null ? _owners[d < known ? d : 0] : examples[d < examples.Length ? d : 0];
            ReadOnlySpan<int> tokens = _set.Tokens(example);
            tokens.CopyTo(_ids.AsSpan(d * length));
            _mask.AsSpan(d * length, tokens.Length).Fill(1);
        }

        backend.Upload(inputs.Ids, _ids.AsSpan(0, texts * length));
        backend.Upload(inputs.TextMask, _mask.AsSpan(0, texts * length));
        if (inputs.Rows is { } rows)
        {
            Grow(ref _rows, rows.Extent(0));
            _rows.AsSpan(examples.Length, rows.Extent(0) - examples.Length).Fill(_rows[0]);
            backend.Upload(rows, _rows.AsSpan(0, rows.Extent(0)));
        }

        UploadFullMask(backend, examples, inputs.FullMask, promptTokens, length);
        UploadEnds(backend, examples, inputs, promptTokens, length, known);
        UploadVisual(backend, examples, inputs.Visual);
        UploadTargets(backend, examples, inputs.Targets);
    }

    private static void RequireSize(long values, int batch, string what)
    {
        if (values > Array.MaxLength)
        {
            throw new DvpException(string.Create(
                CultureInfo.InvariantCulture, $"The {what} of a batch of {batch} are {values} numbers, more than one copy can hold; make the batch smaller."));
        }
    }

    private void UploadFullMask(Backend backend, ReadOnlySpan<int> examples, Tensor? mask, int promptTokens, int length)
    {
        if (mask is null)
        {
            return;
        }

        (int batch, int full) = (mask.Extent(0), promptTokens + length);
        Grow(ref _fullMask, batch * full);
        Array.Clear(_fullMask, 0, batch * full);
        for (int b = 0; b < batch; b++)
        {
            int example = examples[b < examples.Length ? b : 0];
            _fullMask.AsSpan(b * full, promptTokens + _set.Tokens(example).Length).Fill(1);
        }

        backend.Upload(mask, _fullMask.AsSpan(0, batch * full));
    }

    private void UploadEnds(Backend backend, ReadOnlySpan<int> examples, StepInputs inputs, int promptTokens, int length, int known)
    {
        if (inputs.Ends is not { } ends)
        {
            return;
        }

        int count = ends.Columns;
        Grow(ref _ends, TextEnds.TableRows * count);
        bool perText = inputs.Visual is null && inputs.Rows is not null;
        for (int i = 0; i < count; i++)
        {
            int example = perText ? _owners[i < known ? i : 0] : examples[i < examples.Length ? i : 0];
            int prompts = inputs.Visual is null ? 0 : promptTokens;
            TextEnds.Write(_ends, count, i, _set.Tokens(example), length, prompts, _endToken);
        }

        backend.Upload(ends, _ends.AsSpan(0, TextEnds.TableRows * count));
    }

    /// <summary>Numbers the different texts of a batch in order of appearance: the text of each example, and an example for each text.</summary>
    /// <returns>D</returns>
    private int AssignTexts(ReadOnlySpan<int> examples)
    {
        Grow(ref _rows, Math.Max(examples.Length, 1) * 2);
        Grow(ref _owners, examples.Length);
        int texts = 0;
        for (int b = 0; b < examples.Length; b++)
        {
            int text = _set.Text(examples[b]);
            int d = 0;
            while (d < texts && _set.Text(_owners[d]) != text)
            {
                d++;
            }

            if (d == texts)
            {
                _owners[texts++] = examples[b];
            }

            _rows[b] = d;
        }

        return texts;
    }

    private void UploadVisual(Backend backend, ReadOnlySpan<int> examples, Tensor? visual)
    {
        if (visual is null)
        {
            return;
        }

        int size = visual.Extent(1) * visual.Extent(2);
        int batch = visual.Extent(0);
        Grow(ref _visual, batch * size);
        for (int b = 0; b < batch; b++)
        {
            _set.Features.Read(_set.ImageRow(examples[b < examples.Length ? b : 0]), _visual.AsSpan(b * size, size));
        }

        backend.Upload(visual, _visual.AsSpan(0, batch * size));
    }

    private void UploadTargets(Backend backend, ReadOnlySpan<int> examples, Tensor? targets)
    {
        if (targets is null)
        {
            return;
        }

        int batch = targets.Extent(0);
        if (targets.Type == ElementType.I32)
        {
            Grow(ref _labels, batch);
            for (int b = 0; b < batch; b++)
            {
                _labels[b] = _set.BestLabel(examples[b < examples.Length ? b : 0]);
            }

            backend.Upload(targets, _labels.AsSpan(0, batch));
            return;
        }

        Grow(ref _targets, batch * _set.LabelCount);
        for (int b = 0; b < batch; b++)
        {
            _set.WriteTargets(examples[b < examples.Length ? b : 0], _targets.AsSpan(b * _set.LabelCount, _set.LabelCount));
        }

        backend.Upload(targets, _targets.AsSpan(0, batch * _set.LabelCount));
    }

    private static void Grow<T>(ref T[] array, int count)
    {
        if (array.Length < count)
        {
            Array.Resize(ref array, Math.Max(count, array.Length * 2));
        }
    }
}
