using Dvp.Engine.Devices;
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
