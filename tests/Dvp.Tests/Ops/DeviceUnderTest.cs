using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cpu;
using Dvp.Tests.Oracle;

namespace Dvp.Tests.Ops;

/// <summary>A way in which a device can compute.</summary>
/// <param name="Name">What is special about it.</param>
/// <param name="Open">Opens the device.</param>
/// <param name="JudgesAccesses">Whether it finds an access outside of an allocation by itself, so that tests need no guards in the allocation.</param>
public sealed record DeviceWay(string Name, Func<Backend> Open, bool JudgesAccesses = false);

/// <summary>A device that the operator tests run on.</summary>
public abstract class DeviceUnderTest
{
    /// <summary>Ways whose results must be equal bit by bit.</summary>
    public abstract IReadOnlyList<DeviceWay> Ways { get; }

    /// <summary>The way that finds most, for tests that compute once.</summary>
    public virtual DeviceWay Strictest => Ways[0];
}

/// <summary>The oracle itself, against the golden files.</summary>
public sealed class ReferenceUnderTest : DeviceUnderTest
{
    /// <inheritdoc/>
    public override IReadOnlyList<DeviceWay> Ways { get; } = [new("reference", () => new ReferenceBackend())];
}

/// <summary>The processor.</summary>
public sealed class CpuUnderTest : DeviceUnderTest
{
    /// <inheritdoc/>
    public override IReadOnlyList<DeviceWay> Ways { get; } =
        [.. ((int[])[2, 2, 1, 3]).Select(threads => new DeviceWay($"{threads} threads", () => new CpuBackend(threads)))];

    /// <inheritdoc/>
    public override DeviceWay Strictest { get; } = new("all threads", () => new CpuBackend());
}
