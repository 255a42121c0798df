namespace Dvp.Models.Images;

/// <summary>Colours of JPEG rows, in the fixed-point arithmetic (16 fractional bits) of the IJG decoder.</summary>
internal static class JpegColours
{
    private const int Half = 1 << 15;

    // round(x * 65536) of the JFIF conversion's coefficients
    private const int RedOfCr = 91881; // 1.40200
    private const int GreenOfCb = 22554; // 0.34414
    private const int GreenOfCr = 46802; // 0.71414
    private const int BlueOfCb = 116130; // 1.77200

    /// <summary>R = Y + 1.402 Cr, G = Y - 0.34414 Cb - 0.71414 Cr, B = Y + 1.772 Cb with Cb and Cr about 128.</summary>
    /// <param name="luma">(width) Y.</param>
    /// <param name="blue">(width) Cb.</param>
    /// <param name="red">(width) Cr.</param>
    /// <param name="row">(width, step) output; the first three bytes of each pixel are written.</param>
    /// <param name="step">Bytes from pixel to pixel.</param>
    public static void YCbCr(ReadOnlySpan<byte> luma, ReadOnlySpan<byte> blue, ReadOnlySpan<byte> red, Span<byte> row, int step)
    {
        blue = blue[..luma.Length];
        red = red[..luma.Length];
        for (int x = 0, o = 0; x < luma.Length; x++, o += step)
        {
            int y = luma[x];
            int cb = blue[x] - 128;
            int cr = red[x] - 128;
            Span<byte> pixel = row.Slice(o, 3);
            pixel[0] = Clamp(y + (((RedOfCr * cr) + Half) >> 16));
            pixel[1] = Clamp(y + (((-GreenOfCb * cb) - (GreenOfCr * cr) + Half) >> 16));
            pixel[2] = Clamp(y + (((BlueOfCb * cb) + Half) >> 16));
        }
    }

    /// <summary>Three planes side by side.</summary>
    public static void Interleave(ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, ReadOnlySpan<byte> third, Span<byte> row)
    {
        for (int x = 0, o = 0; x < first.Length; x++, o += 3)
        {
            row[o] = first[x];
            row[o + 1] = second[x];
            row[o + 2] = third[x];
        }
    }

    private static byte Clamp(int value) => (uint)value > 255 ? (byte)(~value >> 31) : (byte)value;
}
