using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Training;

/// <summary>Inputs of a recorded step on the device.</summary>
/// <param name="Ids">I32 (B, T)</param>
/// <param name="TextMask">I32 (B, T)</param>
/// <param name="FullMask">I32 (B, P + T), the prompt's ones first; null without a prompt</param>
/// <param name="Visual">(B, N, V); null without a prompt</param>
/// <param name="Targets">(B, labels), or I32 (B) for one label; null where no loss is asked for</param>
public sealed record StepInputs(Tensor Ids, Tensor TextMask, Tensor? FullMask, Tensor? Visual, Tensor? Targets);

/// <summary>Fills the inputs of a step from examples, in host memory that is reused from batch to batch.</summary>
public sealed class BatchBuffers
{
    private readonly TrainingSet _set;
    private readonly int _maximumLength;
    private int[] _ids = [];
    private int[] _mask = [];
    private int[] _fullMask = [];
    private int[] _labels = [];
    private float[] _visual = [];
    private float[] _targets = [];

    /// <summary>Makes buffers for a set.</summary>
    /// <param name="set">The examples.</param>
    /// <param name="maximumLength">Longest text in tokens; longer ones were cut when the set was made.</param>
    public BatchBuffers(TrainingSet set, int maximumLength)
    {
        _set = set;
        _maximumLength = maximumLength;
    }

    /// <summary>T of a batch: its own longest text.</summary>
    public int Length(ReadOnlySpan<int> examples)
    {
        int longest = 1;
        foreach (int example in examples)
        {
            longest = Math.Max(longest, _set.Tokens(example).Length);
        }

        return longest <= _maximumLength
            ? longest
            : throw new DvpException(
                $"A text has {longest} tokens, and the model takes {_maximumLength}; cut texts when they are tokenised.");
    }

    /// <summary>Copies a batch to the device.</summary>
    /// <param name="backend">The device.</param>
    /// <param name="examples">At most B examples; fewer are padded with copies of the first, whose results are to be ignored.</param>
    /// <param name="inputs">Where to.</param>
    /// <param name="promptTokens">P</param>
    public void Upload(Backend backend, ReadOnlySpan<int> examples, StepInputs inputs, int promptTokens)
    {
        (int batch, int length) = (inputs.Ids.Extent(0), inputs.Ids.Extent(1));
        int full = promptTokens + length;
        Grow(ref _ids, batch * length);
        Grow(ref _mask, batch * length);
        Grow(ref _fullMask, batch * full);
        Array.Clear(_ids, 0, batch * length);
        Array.Clear(_mask, 0, batch * length);
        Array.Clear(_fullMask, 0, batch * full);
        for (int b = 0; b < batch; b++)
        {
            ReadOnlySpan<int> tokens = _set.Tokens(examples[b < examples.Length ? b : 0]);
            tokens.CopyTo(_ids.AsSpan(b * length));
            _mask.AsSpan(b * length, tokens.Length).Fill(1);
            _fullMask.AsSpan(b * full, promptTokens + tokens.Length).Fill(1);
        }

        backend.Upload(inputs.Ids, _ids.AsSpan(0, batch * length));
        backend.Upload(inputs.TextMask, _mask.AsSpan(0, batch * length));
        if (inputs.FullMask is not null)
        {
            backend.Upload(inputs.FullMask, _fullMask.AsSpan(0, batch * full));
        }

        UploadVisual(backend, examples, inputs.Visual);
        UploadTargets(backend, examples, inputs.Targets);
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
            array = new T[Math.Max(count, array.Length * 2)];
        }
    }
}
