namespace Dvp.Models.Images;

/// <summary>The two published orders of the steps from a picture to the pixels of the vision tower.</summary>
public enum ImageTransform
{
    /// <summary>
    /// Resize and crop in the picture's own mode, then convert to RGB; the crop's offset is rounded half to even. The order of
    /// the code that the paper builds on, and the default.
    /// </summary>
    OpenAi,

    /// <summary>Convert to RGB first; the crop's offset is rounded down. The order of the Hugging Face image processor.</summary>
    HuggingFace,
}
