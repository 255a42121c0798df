using Microsoft.ML.OnnxRuntime;

namespace Dvp.Peers;

/// <summary>A graph in ONNX Runtime with its inputs bound once.</summary>
internal sealed class PeerSession : IDisposable
{
    private readonly InferenceSession _session;
    private readonly RunOptions _options = new();
    private readonly Dictionary<string, OrtValue> _inputs = [];

    private PeerSession(string path, int threads)
    {
        using SessionOptions options = new()
        {
            IntraOpNumThreads = threads,
            InterOpNumThreads = 1,
            ExecutionMode = ExecutionMode.ORT_SEQUENTIAL,
            GraphOptimizationLevel = GraphOptimizationLevel.ORT_ENABLE_ALL,
        };

        // Its threads would otherwise wait in a loop after a run has ended and take a core from whatever is timed next.
        options.AddSessionConfigEntry("session.force_spinning_stop", "1");
        _session = new InferenceSession(path, options);
    }

    public static PeerSession DvpBert(string path, int threads, int batch)
    {
        PeerSession session = new(path, threads);
        session._inputs.Add("input_ids", OrtValue.CreateTensorValueFromMemory([.. Enumerable.Range(0, batch * 16).Select(i => 1000L + i)], [batch, 16]));
        session._inputs.Add("attention_mask", OrtValue.CreateTensorValueFromMemory([.. Enumerable.Repeat(1L, batch * 16)], [batch, 16]));
        session._inputs.Add("visual_features", OrtValue.CreateTensorValueFromMemory(Values(batch * 197 * 768), [batch, 197, 768]));
        return session;
    }

    public static PeerSession Clip(string path, int threads, int batch)
    {
        PeerSession session = new(path, threads);
        session._inputs.Add("pixel_values", OrtValue.CreateTensorValueFromMemory(Values(batch * 3 * 224 * 224), [batch, 3, 224, 224]));
        return session;
    }

    public void Run()
    {
        using IDisposableReadOnlyCollection<OrtValue> results = _session.Run(_options, _inputs, _session.OutputNames);
        if (results[0].GetTensorDataAsSpan<float>().IsEmpty)
        {
            throw new InvalidOperationException("The peer computed nothing.");
        }
    }

    public void Dispose()
    {
        foreach (OrtValue input in _inputs.Values)
        {
            input.Dispose();
        }

        _options.Dispose();
        _session.Dispose();
    }

    private static float[] Values(int count)
    {
        float[] values = new float[count];
        new Engine.SeededRandom(3).FillNormal(values, 0, 1);
        return values;
    }
}
