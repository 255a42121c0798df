using Dvp.Engine;
using Xunit;

namespace Dvp.Tests.IO;

/// <summary>Assertions on the errors that a user would read.</summary>
internal static class Expect
{
    /// <summary>The action fails with a message that contains a text.</summary>
    public static void Error(string part, Func<object?> action) =>
        Assert.Contains(part, Assert.Throws<DvpException>(action).Message, StringComparison.Ordinal);

    /// <summary>The action fails with a message that contains a text.</summary>
    public static void Error(string part, Action action) =>
        Assert.Contains(part, Assert.Throws<DvpException>(action).Message, StringComparison.Ordinal);
}
