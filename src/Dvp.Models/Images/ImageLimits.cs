namespace Dvp.Models.Images;

/// <summary>What a picture file may ask for; checked on its header, before anything of that size is allocated.</summary>
/// <param name="MaxPixels">Largest width times height, in pixels.</param>
public sealed record ImageLimits(long MaxPixels = 64_000_000)
{
    /// <summary>The default limit: 64 million pixels.</summary>
    public static ImageLimits Default { get; } = new();
}
