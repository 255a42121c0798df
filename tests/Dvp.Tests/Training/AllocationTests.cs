using System.Text.Json;
using Dvp.Engine.Devices.Cpu;
using Dvp.Prompting;
using Dvp.Tests.IO;
using Dvp.Training;
using Xunit;

namespace Dvp.Tests.Training;

/// <summary>
/// A steady training step makes no managed allocation and no garbage collection, asks the device for no memory, and copies nothing back but
/// the loss. Counted over a hundred steps in a process of its own, where nothing else allocates.
/// </summary>
public sealed class AllocationTests
{
    private const int Steps = 100;
    private const int Accumulation = 2;

    [Fact]
    public void A_hundred_training_steps_allocate_nothing_and_download_only_the_loss()
    {
        using TemporaryFolder folder = new();
        using ChildProcess child = new("allocations", folder.Root);
        Assert.Equal(ChildProcess.Started, child.ReadLine());
        using JsonDocument counts = JsonDocument.Parse(child.Finish());
        Assert.Equal(0, Count("bytes_of_thread"));
        Assert.Equal(0, Count("bytes_of_process"));
        Assert.Equal(0, Count("collections"));
        Assert.Equal(0, Count("device_bytes"));
        Assert.Equal(Steps, Count("downloads"));
        Assert.True(Count("shapes") >= 3, "the batches should have several lengths");
        Assert.True(Count("epochs") >= 3, "the steps should go over the ends of epochs");

        long Count(string name) => counts.RootElement.GetProperty(name).GetInt64();
    }

    /// <summary>The part that runs in a process of its own.</summary>
    internal static void Measure(string folder)
    {
        TinyBert bert = new() { Channels = 32, Heads = 4, Intermediate = 64, Positions = 12 };
        DvpConfig config = TinyDvp.Config(bert, 1, adapters: true);
        using CpuBackend device = new(2);
        using LoadedDvp loaded = TinyDvp.Create(bert.Write(folder), config, device);
        TrainerSettings settings = new() { Steps = 1000, Batch = 8, Accumulation = Accumulation, LearningRate = 1e-3, MaxNorm = 1 };
        TrainingSet set = TinyDvp.Examples(bert, 100, seed: 3, longest: 8);
        using StepRunner runner = new(loaded.Model, loaded.Parameters, set, settings, TinyDvp.Groups(config));
        int step = 0;
        for (; step < 300; step++)
        {
            runner.Step(step, 1); // every length comes up, and the compiler is done with what runs often
        }

        long device0 = device.Counters.BytesAllocated;
        long downloads = device.Counters.Downloads;
        int collections = Collections();
        long process = GC.GetTotalAllocatedBytes(precise: true);
        long thread = GC.GetAllocatedBytesForCurrentThread();
        for (; step < 300 + Steps; step++)
        {
            runner.Step(step, 1);
        }

        thread = GC.GetAllocatedBytesForCurrentThread() - thread;
        process = GC.GetTotalAllocatedBytes(precise: true) - process;
        collections = Collections() - collections;
        BatchPlan plan = new(set, settings.Batch, settings.Seed);
        BatchBuffers buffers = new(set, loaded.Model);
        int shapes = Enumerable.Range(300 * Accumulation, Steps * Accumulation)
            .Select(i => buffers.Shape(plan.Examples(i), plan.Batch, share: true)).Distinct().Count();
        Console.WriteLine($$"""
            { "bytes_of_thread": {{thread}}, "bytes_of_process": {{process}}, "collections": {{collections}},
              "device_bytes": {{device.Counters.BytesAllocated - device0}}, "downloads": {{device.Counters.Downloads - downloads}},
              "shapes": {{shapes}}, "epochs": {{Steps * Accumulation / plan.BatchesPerEpoch}} }
            """);
    }

    private static int Collections() => GC.CollectionCount(0) + GC.CollectionCount(1) + GC.CollectionCount(2);
}
