using Xunit.Sdk;

namespace Dvp.NativeTests;

/// <summary>
/// Generic code that xunit.net's assertions ask for by reflection, which native code has only where somebody names it: collections of value types,
/// by the types that tests compare. A missing one ends a test with NotSupportedException, which names it.
/// </summary>
internal static class Instantiations
{
    /// <summary>Names them.</summary>
    public static void Keep()
    {
        _ = CollectionTrackerExtensions.AsTracker<bool>([]);
        _ = CollectionTrackerExtensions.AsTracker<byte>([]);
        _ = CollectionTrackerExtensions.AsTracker<short>([]);
        _ = CollectionTrackerExtensions.AsTracker<int>([]);
        _ = CollectionTrackerExtensions.AsTracker<long>([]);
        _ = CollectionTrackerExtensions.AsTracker<ulong>([]);
        _ = CollectionTrackerExtensions.AsTracker<float>([]);
        _ = CollectionTrackerExtensions.AsTracker<double>([]);
        _ = CollectionTrackerExtensions.AsTracker<KeyValuePair<string, int>>([]);
        _ = CollectionTrackerExtensions.AsTracker<KeyValuePair<string, string>>([]);
    }
}
