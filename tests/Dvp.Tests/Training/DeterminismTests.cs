using Dvp.Engine.Devices.Cpu;
using Dvp.Prompting;
using Dvp.Tests.IO;
using Dvp.Training;
using Xunit;

namespace Dvp.Tests.Training;

/// <summary>The same seed gives the same bits, whatever the number of threads; another seed gives others.</summary>
public sealed class DeterminismTests : IDisposable
{
    private static readonly TinyBert s_bert = new() { Channels = 48, Heads = 4, Intermediate = 96, Positions = 16 };
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Bits_depend_on_the_seed_alone()
    {
        string model = s_bert.Write(_folder["model"]);
        byte[] one = Train(model, threads: 1, seed: 5);
        Assert.Equal(one, Train(model, threads: 1, seed: 5));
        Assert.Equal(one, Train(model, threads: 2, seed: 5));
        Assert.Equal(one, Train(model, threads: 3, seed: 5));
        Assert.NotEqual(one, Train(model, threads: 1, seed: 6));
    }

    /// <summary>All trained parameters and all losses after some steps with dropout and clipping.</summary>
    private static byte[] Train(string model, int threads, ulong seed)
    {
        DvpConfig config = TinyDvp.Config(s_bert, 1, adapters: false);
        using CpuBackend device = new(threads);
        using LoadedDvp loaded = TinyDvp.Create(model, config, device);
        TrainerSettings settings = new() { Steps = 12, Batch = 32, LearningRate = 3e-3, MaxNorm = 1, Seed = seed };
        using StepRunner runner = new(
            loaded.Model, loaded.Parameters, TinyDvp.Examples(s_bert, 150, seed: 2, longest: 14), settings, TinyDvp.Groups(config));
        using MemoryStream bits = new();
        for (int step = 0; step < settings.Steps; step++)
        {
            bits.Write(BitConverter.GetBytes(runner.Step(step, 1)));
        }

        bits.Write(loaded.TrainedBytes());
        return bits.ToArray();
    }
}
