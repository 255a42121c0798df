using System.Diagnostics;
using System.Runtime.InteropServices;
using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Profiling;

/// <summary>What an operator took over all of its calls.</summary>
/// <param name="Name">The operator, as <see cref="Backend"/> calls it.</param>
/// <param name="Calls">Calls.</param>
/// <param name="Seconds">Their time.</param>
public sealed record OperatorTime(string Name, long Calls, double Seconds);

/// <summary>
/// A device that passes every operator on to another one and notes how long it took: where the time of a model goes, without a profiler.
/// Each operator is waited for, so a device that queues loses its overlap while it is timed.
/// </summary>
/// <param name="inner">The device that does the work; it is not disposed with this one.</param>
public sealed partial class TimedBackend(Backend inner) : Backend
{
    private readonly Dictionary<string, (long Calls, long Ticks)> _times = new(StringComparer.Ordinal);

    /// <summary>The operators that were called since the last <see cref="Reset"/>, the longest first.</summary>
    public IReadOnlyList<OperatorTime> Times =>
        [.. _times.Select(t => new OperatorTime(
            t.Key, t.Value.Calls, (double)t.Value.Ticks / Stopwatch.Frequency)).OrderByDescending(t => t.Seconds)];

    /// <inheritdoc/>
    public override string Name => inner.Name;

    /// <inheritdoc/>
    public override ElementType ActivationType => inner.ActivationType;

    /// <inheritdoc/>
    public override ElementType AccumulationType => inner.AccumulationType;

    /// <inheritdoc/>
    public override ElementType FrozenMatrixType => inner.FrozenMatrixType;

    /// <summary>Whether an operator is a product with weights: linear layers and adapters, forward and backward.</summary>
    public static bool IsProduct(string name) =>
        name.StartsWith("Linear", StringComparison.Ordinal) || name.StartsWith("Adapter", StringComparison.Ordinal);

    /// <summary>Forgets the times so far.</summary>
    public void Reset() => _times.Clear();

    /// <inheritdoc/>
    public override DeviceBuffer Allocate(long bytes) => inner.Allocate(bytes);

    /// <inheritdoc/>
    public override void Upload(Tensor destination, ReadOnlySpan<float> source) => inner.Upload(destination, source);

    /// <inheritdoc/>
    public override void Upload(Tensor destination, ReadOnlySpan<int> source) => inner.Upload(destination, source);

    /// <inheritdoc/>
    public override void UploadBytes(Tensor destination, ReadOnlySpan<byte> source) => inner.UploadBytes(destination, source);

    /// <inheritdoc/>
    public override void Download(Span<float> destination, Tensor source) => inner.Download(destination, source);

    /// <inheritdoc/>
    public override void DownloadBytes(Span<byte> destination, Tensor source) => inner.DownloadBytes(destination, source);

    /// <inheritdoc/>
    public override void Synchronize() => inner.Synchronize();

    /// <inheritdoc/>
    public override int AttentionSavedElements(int batch, int heads, int queries, int keys) =>
        inner.AttentionSavedElements(batch, heads, queries, keys);

    private void Note(string name, long start)
    {
        inner.Synchronize();
        ref (long Calls, long Ticks) time = ref CollectionsMarshal.GetValueRefOrAddDefault(_times, name, out _);
        time = (time.Calls + 1, time.Ticks + Stopwatch.GetTimestamp() - start);
    }
}
