using Dvp.Training;
using Xunit;

namespace Dvp.Tests.Training;

/// <summary>The sentence in which a checkpoint of other settings is refused names what differs, also where only one side has the part.</summary>
public sealed class RunIdentityTests
{
    [Theory]
    [InlineData("steps 5, batch 4, seed 0", "steps 5, batch 8, seed 0", "batch 4, and this run has batch 8")]
    [InlineData("steps 5, seed 0", "steps 5, seed 0, loss scale 4 every 2 in 1 to 8", "other settings than loss scale 4 every 2 in 1 to 8")]
    [InlineData("steps 5, no loss scale, mode Full", "steps 5, mode Full", "no loss scale, which this run has not")]
    [InlineData("steps 5, seed 0, layer 1", "steps 9, seed 0, loss scale 4, layer 1", "steps 5, and this run has steps 9")]
    [InlineData("steps 5", "steps 5", "other settings")]
    public void The_part_that_differs_is_named(string saved, string wanted, string named) => Assert.Equal(named, RunIdentity.Difference(saved, wanted));
}
