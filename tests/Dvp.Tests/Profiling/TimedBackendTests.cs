using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cpu;
using Dvp.Engine.IO;
using Dvp.Evaluation;
using Dvp.Profiling;
using Xunit;

namespace Dvp.Tests.Profiling;

public sealed class TimedBackendTests
{
    [Fact]
    public void A_timed_device_gives_the_same_bits_and_the_operators_behind_them()
    {
        string golden = Fixtures.Path("dvp-bert/adapter-vqa-k2");
        using CpuBackend backend = new(1);
        TimedBackend timed = new(backend);
        TensorArchive expected = Forward(golden, backend);
        TensorArchive actual = Forward(golden, timed);
        Assert.Equal(expected.Names, actual.Names);
        Assert.All(expected.Names, name => Assert.Equal(expected.Floats(name), actual.Floats(name)));
        Assert.Equal(backend.Name, timed.Name);
        Assert.All(timed.Times, t => Assert.True(t.Calls > 0 && t.Seconds >= 0));
        string[] names = [.. timed.Times.Select(t => t.Name)];
        Assert.Superset(
            new HashSet<string> { nameof(Backend.LinearForward), nameof(Backend.LayerNormBackward), nameof(Backend.PromptAttentionBackward) },
            names.ToHashSet());
        Assert.Equal(timed.Times.Select(t => t.Seconds).OrderDescending(), timed.Times.Select(t => t.Seconds));
        timed.Reset();
        Assert.Empty(timed.Times);
    }

    [Fact]
    public void Products_with_weights_are_told_from_the_rest()
    {
        Assert.True(TimedBackend.IsProduct(nameof(Backend.LinearBackwardInput)));
        Assert.True(TimedBackend.IsProduct(nameof(Backend.AdapterForward)));
        Assert.False(TimedBackend.IsProduct(nameof(Backend.AttentionForward)));
        Assert.False(TimedBackend.IsProduct(nameof(Backend.LayerNormForward)));
    }

    private static TensorArchive Forward(string golden, Backend backend) => ModelForward.Run(
        Path.Combine(golden, "model"), golden, TensorArchive.Load(Path.Combine(golden, "inputs.safetensors")), backend, gradients: true);
}
