namespace Dvp.Models.Images;

/// <summary>A picture through all steps of the preprocessing.</summary>
/// <param name="Decoded">As the file stores it.</param>
/// <param name="Resized">(Height, Width, 3) bytes, resized and cropped.</param>
/// <param name="Normalised">(3, Height, Width) values, the input of the vision tower.</param>
/// <param name="Height">Rows of the result.</param>
/// <param name="Width">Columns of the result.</param>
public sealed record PreprocessedImage(DecodedImage Decoded, byte[] Resized, float[] Normalised, int Height, int Width);
