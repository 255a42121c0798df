using System.Text.Json;
using Dvp.Engine.Devices;
using Dvp.Engine.IO;
using Dvp.Engine.Nn;
using Dvp.Engine.Tensors;
using Dvp.Prompting;
using Dvp.Training;

namespace Dvp.Tests.Training;

/// <summary>The batches of a golden training run: <c>train.s.input_ids</c> and so on.</summary>
internal sealed class GoldenBatches(string folder)
{
    private readonly TensorArchive _inputs = TensorArchive.Load(Path.Combine(folder, "inputs.safetensors"));

    /// <summary>B, T and N of a batch.</summary>
    public (int Batch, int Length, int VisualTokens) Sizes(string prefix)
    {
        ReadOnlySpan<int> ids = _inputs.ShapeOf(prefix + "input_ids");
        return (ids[0], ids[1], _inputs.ShapeOf(prefix + "visual_features")[1]);
    }

    /// <summary>Copies a batch, as it is, to the inputs of a recorded step.</summary>
    public void Upload(Backend device, string prefix, StepInputs inputs, int endToken = -1)
    {
        (int batch, int length, _) = Sizes(prefix);
        int[] mask = Integers(prefix + "attention_mask");
        int prompts = inputs.FullMask!.Extent(1) - length;
        int[] full = new int[batch * (prompts + length)];
        for (int b = 0; b < batch; b++)
        {
            full.AsSpan(b * (prompts + length), prompts).Fill(1);
            mask.AsSpan(b * length, length).CopyTo(full.AsSpan((b * (prompts + length)) + prompts));
        }

        device.Upload(inputs.Ids, Integers(prefix + "input_ids"));
        device.Upload(inputs.TextMask, mask);
        device.Upload(inputs.FullMask, full);
        device.Upload(inputs.Visual!, _inputs.Floats(prefix + "visual_features"));
        if (inputs.Ends is not null)
        {
            int[] ids = Integers(prefix + "input_ids");
            int[] ends = new int[TextEnds.TableRows * batch];
            for (int b = 0; b < batch; b++)
            {
                TextEnds.Write(ends, batch, b, ids.AsSpan(b * length, length), length, prompts, endToken);
            }

            device.Upload(inputs.Ends, ends);
        }

        if (inputs.Targets is { Type: ElementType.I32 })
        {
            device.Upload(inputs.Targets, Integers(prefix + "labels"));
        }
        else if (inputs.Targets is not null)
        {
            device.Upload(inputs.Targets, Targets(prefix));
        }
    }

    /// <summary>(B, labels), row by row.</summary>
    public float[] Targets(string prefix) => _inputs.Floats(prefix + "targets");

    /// <summary>The batch as examples, its padding cut off.</summary>
    public TrainingSet Examples(string prefix)
    {
        (int batch, int length, int tokens) = Sizes(prefix);
        int[] ids = Integers(prefix + "input_ids");
        int[] mask = Integers(prefix + "attention_mask");
        float[] targets = Targets(prefix);
        int labels = targets.Length / batch;
        int[][] all = new int[batch][];
        for (int b = 0; b < batch; b++)
        {
            all[b] = ids.AsSpan(b * length, mask.AsSpan(b * length, length).Count(1)).ToArray();
        }

        int[] answers = [.. Enumerable.Range(0, labels)];
        return new TrainingSet(
            new MemoryFeatures(tokens, _inputs.ShapeOf(prefix + "visual_features")[2], _inputs.Floats(prefix + "visual_features")),
            labels, all, [.. Enumerable.Range(0, batch)], [.. Enumerable.Repeat(answers, batch)],
            [.. targets.Chunk(labels)]);
    }

    /// <summary>The steps that the published code recorded.</summary>
    public static JsonDocument Steps(string folder) => JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder, "steps.json")));

    /// <summary>The trained parameters in double precision, or as they are.</summary>
    public static TensorArchive Trained(ParameterSet parameters)
    {
        TensorArchive archive = new("the trained parameters");
        foreach (Parameter parameter in parameters.Trained)
        {
            float[] values = new float[parameter.Value.Count];
            parameters.Backend.Download(values, parameter.Value);
            archive.Add(parameter.Name, values, parameter.Value.Shape);
        }

        return archive;
    }

    private int[] Integers(string name) => [.. _inputs.ReadInt64(name).Select(v => checked((int)v))];
}
