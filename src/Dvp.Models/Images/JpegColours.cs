using System.Buffers.Binary;
using System.Runtime.Intrinsics;

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
        int done = step == 3 && Vector256.IsHardwareAccelerated ? EightAtATime(luma, blue, red, row) : 0;
        for (int x = done, o = done * step; x < luma.Length; x++, o += step)
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

    /// <summary>The same for eight pixels at a time; gives the number of pixels done.</summary>
    private static int EightAtATime(ReadOnlySpan<byte> luma, ReadOnlySpan<byte> blue, ReadOnlySpan<byte> red, Span<byte> row)
    {
        Vector128<byte> firstOfTwo = Vector128.Create((byte)0, 8, 255, 1, 9, 255, 2, 10, 255, 3, 11, 255, 4, 12, 255, 5);
        Vector128<byte> firstOfThird = Vector128.Create(255, 255, (byte)0, 255, 255, 1, 255, 255, 2, 255, 255, 3, 255, 255, 4, 255);
        Vector128<byte> restOfTwo = Vector128.Create((byte)13, 255, 6, 14, 255, 7, 15, 255, 255, 255, 255, 255, 255, 255, 255, 255);
        Vector128<byte> restOfThird = Vector128.Create(255, (byte)5, 255, 255, 6, 255, 255, 7, 255, 255, 255, 255, 255, 255, 255, 255);
        int x = 0;
        for (; x <= luma.Length - 8; x += 8)
        {
            Vector256<int> y = Wide(luma, x);
            Vector256<int> cb = Wide(blue, x) - Vector256.Create(128);
            Vector256<int> cr = Wide(red, x) - Vector256.Create(128);
            Vector256<int> half = Vector256.Create(Half);
            Vector128<byte> r = Narrow(y + (((cr * RedOfCr) + half) >> 16));
            Vector128<byte> g = Narrow(y + ((half - (cb * GreenOfCb) - (cr * GreenOfCr)) >> 16));
            Vector128<byte> b = Narrow(y + (((cb * BlueOfCb) + half) >> 16));
            Vector128<byte> two = Vector128.Create(r.AsUInt64().ToScalar(), g.AsUInt64().ToScalar()).AsByte();
            Span<byte> output = row.Slice(3 * x, 24);
            (Vector128.Shuffle(two, firstOfTwo) | Vector128.Shuffle(b, firstOfThird)).CopyTo(output);
            ulong rest = (Vector128.Shuffle(two, restOfTwo) | Vector128.Shuffle(b, restOfThird)).AsUInt64().ToScalar();
            BinaryPrimitives.WriteUInt64LittleEndian(output[16..], rest);
        }

        return x;
    }

    private static Vector256<int> Wide(ReadOnlySpan<byte> samples, int x)
    {
        Vector128<byte> eight = Vector128.CreateScalar(BinaryPrimitives.ReadUInt64LittleEndian(samples[x..])).AsByte();
        return Vector256.WidenLower(Vector128.WidenLower(eight).ToVector256Unsafe()).AsInt32();
    }

    private static Vector128<byte> Narrow(Vector256<int> values)
    {
        Vector256<int> clamped = Vector256.Min(Vector256.Max(values, Vector256<int>.Zero), Vector256.Create(255));
        Vector128<short> narrow = Vector128.Narrow(clamped.GetLower(), clamped.GetUpper());
        return Vector128.Narrow(narrow, narrow).AsByte();
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
