using System.Reflection;
using Xunit;
using Xunit.v3;

namespace Dvp.Tests;

/// <summary>
/// The only way to skip a test: where the machine lacks one of the capabilities, the test is skipped with the reason, or fails where the
/// environment variable <c>DVP_REQUIRE</c> names the capability (<c>DVP_REQUIRE=nvrtc,kernel-host</c>).
/// </summary>
/// <param name="capabilities">All that the test needs.</param>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Method, AllowMultiple = true)]
public sealed class RequiresAttribute(Capability capabilities) : BeforeAfterTestAttribute
{
    /// <summary>All that the test needs.</summary>
    public Capability Capabilities { get; } = capabilities;

    /// <inheritdoc/>
    public override void Before(MethodInfo methodUnderTest, IXunitTest test)
    {
        foreach (Capability capability in Enum.GetValues<Capability>())
        {
            if (capability == Capability.None || !Capabilities.HasFlag(capability) || Machine.Missing(capability) is not { } reason)
            {
                continue;
            }

            string name = Machine.NameOf(capability);
            if (Machine.Demanded.Contains(name))
            {
                Assert.Fail($"{Machine.DemandVariable} demands {name}: {reason}");
            }

            Assert.Skip($"needs {name}: {reason}");
        }
    }
}
