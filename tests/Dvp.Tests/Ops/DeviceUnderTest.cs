using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cpu;
using Dvp.Tests.Oracle;

namespace Dvp.Tests.Ops;

/// <summary>A device that the operator tests run on.</summary>
public abstract class DeviceUnderTest
{
    /// <summary>Opens the device.</summary>
    /// <param name="threads">Host threads that compute, for devices that have them; 0 for the default.</param>
    public abstract Backend Open(int threads = 0);

    /// <summary>Numbers of threads whose results must be equal bit by bit.</summary>
    public virtual IReadOnlyList<int> ThreadCounts => [0];
}

/// <summary>The oracle itself, against the golden files.</summary>
public sealed class ReferenceUnderTest : DeviceUnderTest
{
    /// <inheritdoc/>
    public override Backend Open(int threads = 0) => new ReferenceBackend();
}

/// <summary>The processor.</summary>
public sealed class CpuUnderTest : DeviceUnderTest
{
    /// <inheritdoc/>
    public override IReadOnlyList<int> ThreadCounts => [2, 2, 1, 3];

    /// <inheritdoc/>
    public override Backend Open(int threads = 0) => new CpuBackend(threads);
}
