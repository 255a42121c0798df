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
        (string Name, string Reason)[] missing = [.. Enum.GetValues<Capability>()
            .Where(c => c != Capability.None && Capabilities.HasFlag(c))
            .Select(c => (Machine.NameOf(c), Machine.Missing(c) ?? ""))
            .Where(m => m.Item2.Length > 0)];
        foreach ((string name, string reason) in missing)
        {
            if (Machine.Demanded.Contains(name))
            {
                Assert.Fail($"{Machine.DemandVariable} demands {name}: {reason}");
            }
        }

        if (missing.Length > 0)
        {
            Assert.Skip($"needs {string.Join("; ", missing.Select(m => $"{m.Name}: {m.Reason}"))}");
        }
    }
}
