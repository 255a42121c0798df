using System.Diagnostics;
using System.Globalization;
using Dvp.Engine.Devices.Cpu;
using Dvp.Peers;

// DVP-BERT-base and CLIP ViT-B/16, ours and ONNX Runtime's, on the same threads, turn by turn in one process.
//   dotnet run -c Release --project benchmarks/peers/OnnxRuntime -- [--threads 2] [--runs 15] [--batches 1,16] [--models bert,clip]
CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
int threads = int.Parse(Option("--threads", "2"), CultureInfo.InvariantCulture);
int runs = int.Parse(Option("--runs", "15"), CultureInfo.InvariantCulture);
int[] batches = [.. Option("--batches", "1,16").Split(',').Select(b => int.Parse(b, CultureInfo.InvariantCulture))];
string[] models = Option("--models", "bert,clip").Split(',');
string graphs = Path.Combine(Root(), "benchmarks", "peers", "graphs");

using CpuBackend backend = new(threads);
Console.WriteLine($"device: {backend.Name}; {threads} threads; {runs} interleaved runs after 3 warm ones; median milliseconds (p95)");
Console.WriteLine("| model | batch | ours | ONNX Runtime | ONNX Runtime / ours |");
Console.WriteLine("|---|---:|---:|---:|---:|");
foreach (int batch in batches)
{
    foreach (int layer in models.Contains("bert") ? (int[])[0, 6, 11] : [])
    {
        using OursBert ours = new(backend, batch, layer);
        using PeerSession peer = PeerSession.DvpBert(Path.Combine(graphs, $"dvp_bert_base_k{layer}.onnx"), threads, batch);
        Compare($"DVP-BERT-base, K = {layer}", batch, ours.Run, peer.Run);
    }

    if (!models.Contains("clip"))
    {
        continue;
    }

    using OursClip clip = new(backend, batch);
    using PeerSession clipPeer = PeerSession.Clip(Path.Combine(graphs, "clip_vit_b16.onnx"), threads, batch);
    Compare("CLIP ViT-B/16", batch, clip.Run, clipPeer.Run);
}

return;

void Compare(string what, int batch, Action ours, Action peer)
{
    List<double> a = [];
    List<double> b = [];
    for (int run = -3; run < runs; run++)
    {
        double first = Time(ours);
        double second = Time(peer);
        if (run >= 0)
        {
            a.Add(first);
            b.Add(second);
        }
    }

    a.Sort();
    b.Sort();
    (double x, double y) = (a[a.Count / 2], b[b.Count / 2]);
    Console.WriteLine($"| {what} | {batch} | {x:F1} ({P95(a):F1}) | {y:F1} ({P95(b):F1}) | {y / x:F2} |");
}

static double P95(List<double> sorted) => sorted[(int)(0.95 * (sorted.Count - 1))];

static double Time(Action action)
{
    long start = Stopwatch.GetTimestamp();
    action();
    return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
}

string Option(string name, string absent)
{
    int at = Array.IndexOf(args, name);
    return at >= 0 && at + 1 < args.Length ? args[at + 1] : absent;
}

static string Root()
{
    DirectoryInfo? folder = new(AppContext.BaseDirectory);
    while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Dvp.Kernels.sln")))
    {
        folder = folder.Parent;
    }

    return folder?.FullName ?? throw new DirectoryNotFoundException("Run this from a checkout: Dvp.Kernels.sln was not found.");
}
