using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;
using Dvp.Prompting;
using Dvp.Tests.Cuda;
using Dvp.Tests.IO;
using Dvp.Training;
using Xunit;

namespace Dvp.Tests.Training;

/// <summary>
/// A device that fails at one of its calls ends a training run with one clear error, and the run folder goes on with the same bits on a
/// device that works.
/// </summary>
[Requires(Capability.KernelHost)]
public sealed class CudaFailureTests
{
    private const int Steps = 4;
    private static readonly TinyBert s_bert = new() { Channels = 16, Heads = 2, Intermediate = 32, Layers = 2, Positions = 8 };

    /// <summary>Calls of every kind, fifty in all: the first, and later ones that fall into later steps and into checkpoints.</summary>
    private static readonly Dictionary<string, int[]> s_calls = new(StringComparer.Ordinal)
    {
        ["alloc"] = [1, 2, 3, 4, 5, 6, 7, 8],
        ["launch"] = [1, 2, 3, 40, 90, 120, 160, 200],
        ["fault"] = [1, 2, 5, 50, 100, 150, 200, 210],
        ["copy"] = [1, 2, 3, 40, 60, 80, 90, 100, 120, 140, 160, 180],
        ["load"] = [1, 2, 3, 5, 8, 10],
        ["graph"] = [1],
        ["sync"] = [1, 2, 4, 8, 10, 12, 14],
    };

    public static TheoryData<string> Kinds => new(s_calls.Keys);

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Every_failing_call_is_one_error_and_the_run_goes_on_after_it(string kind)
    {
        // Every mode is a copy of the kernel host's libraries: in a process of its own, which takes them with it.
        using TemporaryFolder folder = new();
        using ChildProcess child = new("cuda-failures", Directory.CreateDirectory(folder[kind]).FullName);
        Assert.Contains("well", child.Finish(), StringComparison.Ordinal);
    }

    /// <summary>The part that runs in a process of its own; the folder's name is the kind.</summary>
    internal static void FailAndGoOn(string folder)
    {
        string kind = Path.GetFileName(folder);
        s_bert.Write(Path.Combine(folder, "model"));
        byte[] whole = Run(folder, "whole", null, out string? error);
        Assert.Null(error);
        int failed = 0;
        foreach (int call in s_calls[kind])
        {
            byte[] first = Run(folder, $"{kind}-{call}", $"fail={kind}:{call}", out error);
            if (error is null)
            {
                Assert.Equal(whole, first); // the run makes fewer calls of this kind, or got over the failure
                continue;
            }

            failed++;
            Assert.DoesNotContain('\n', error);
            Assert.Matches("CUDA|cuda:0| has no [0-9]+ MiB left ", error);
            Assert.Equal(whole, Run(folder, $"{kind}-{call}", null, out error));
            Assert.Null(error);
        }

        // A kernel that cannot be loaded is compiled again.
        Assert.Equal(kind != "load", failed > 0);
        Console.WriteLine($"all well: {failed} failures");
    }

    /// <summary>The run to its end, or to its error; what trains at the end.</summary>
    private static byte[] Run(string folder, string name, string? mode, out string? error)
    {
        string run = Directory.CreateDirectory(Path.Combine(folder, name)).FullName;
        string checkpoint = Path.Combine(run, "checkpoint");
        error = null;
        try
        {
            using Backend device = CudaUnderTest.Open(ElementType.F32, mode);
            DvpConfig config = TinyDvp.Config(s_bert, 1, adapters: true);
            using LoadedDvp loaded = TinyDvp.Create(Path.Combine(folder, "model"), config, device);
            TrainerSettings settings = new()
            {
                Steps = Steps,
                Batch = 4,
                LearningRate = 1e-3,
                Warmup = 0,
                MaxNorm = 1,
                CheckpointEvery = 1,
            };
            using Trainer trainer = new(
                loaded.Model, loaded.Parameters, TinyDvp.Examples(s_bert, 8, seed: 3, longest: 4), null, settings, TinyDvp.Groups(config));
            trainer.TryResume(checkpoint);
            trainer.Train(1, checkpoint);
            return loaded.TrainedBytes();
        }
        catch (DvpException e)
        {
            error = e.Message;
            return [];
        }
    }
}
