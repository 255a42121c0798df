using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Dvp.Models.Images;

/// <summary>
/// Resizing of 8-bit samples with the arithmetic of Pillow's antialiased bicubic filter: horizontal pass, then vertical, both
/// with weights of 22 fractional bits and samples rounded to bytes between; a pass that changes no size is left out. Only the
/// window that is wanted of the result is computed.
/// </summary>
public static class ImageResampler
{
    private const int FractionBits = 22;

    /// <summary>Resizes by antialiased bicubic interpolation (a = -1/2).</summary>
    /// <param name="source">(height, width, channels) samples.</param>
    /// <param name="width">Pixels in a row of the source.</param>
    /// <param name="height">Rows of the source.</param>
    /// <param name="channels">Samples a pixel, 1 to 4.</param>
    /// <param name="newWidth">Pixels in a row of the result.</param>
    /// <param name="newHeight">Rows of the result.</param>
    /// <param name="window">The part of the result to compute.</param>
    /// <param name="destination">(window.Height, window.Width, channels) samples.</param>
    public static void Bicubic(ReadOnlySpan<byte> source, int width, int height, int channels, int newWidth, int newHeight,
        PixelWindow window, Span<byte> destination)
    {
        CheckSizes(source, width, height, channels, newWidth, newHeight, window, destination);
        ResampleWeights across = default;
        ResampleWeights down = default;
        byte[]? buffer = null;
        try
        {
            int firstRow = window.Top;
            int rows = window.Height;
            if (newHeight != height)
            {
                down = ResampleWeights.Make(height, newHeight, window.Top, window.Height);
                (firstRow, rows) = down.Inputs;
            }

            // The horizontal pass writes the rows that the vertical one reads, or straight to the destination.
            Span<byte> wide = destination;
            if (newHeight != height)
            {
                buffer = ArrayPool<byte>.Shared.Rent(rows * window.Width * channels);
                wide = buffer.AsSpan(0, rows * window.Width * channels);
            }

            if (newWidth != width)
            {
                across = ResampleWeights.Make(width, newWidth, window.Left, window.Width);
            }

            int line = width * channels;
            int wideLine = window.Width * channels;
            int done = 0;
            if (newWidth != width && width > 1 && channels >= 3 && Vector256.IsHardwareAccelerated)
            {
                for (; done + 1 < rows; done += 2)
                {
                    AcrossTwo(source.Slice((firstRow + done) * line, 2 * line), wide.Slice(done * wideLine, 2 * wideLine), channels,
                        across);
                }
            }

            for (int y = done; y < rows; y++)
            {
                ReadOnlySpan<byte> row = source.Slice((firstRow + y) * line, line);
                Span<byte> output = wide.Slice(y * wideLine, wideLine);
                if (newWidth == width)
                {
                    row.Slice(window.Left * channels, wideLine).CopyTo(output);
                }
                else
                {
                    Across(row, output, channels, across);
                }
            }

            if (newHeight != height)
            {
                for (int y = 0; y < window.Height; y++)
                {
                    int first = (down.First(y) - firstRow) * wideLine;
                    Down(wide[first..], wideLine, down.Of(y), destination.Slice(y * wideLine, wideLine));
                }
            }
        }
        finally
        {
            across.Release();
            down.Release();
            if (buffer is not null)
            {
                ArrayPool<byte>.Shared.Return(buffer);
            }
        }
    }

    /// <summary>Resizes by nearest neighbour; parameters as for bicubic.</summary>
    public static void Nearest(ReadOnlySpan<byte> source, int width, int height, int channels, int newWidth, int newHeight,
        PixelWindow window, Span<byte> destination)
    {
        CheckSizes(source, width, height, channels, newWidth, newHeight, window, destination);
        int[] columns = ArrayPool<int>.Shared.Rent(newWidth);
        int[] rows = ArrayPool<int>.Shared.Rent(newHeight);
        Positions(width, newWidth, columns);
        Positions(height, newHeight, rows);
        int o = 0;
        for (int y = 0; y < window.Height; y++)
        {
            ReadOnlySpan<byte> row = source.Slice(rows[window.Top + y] * width * channels, width * channels);
            for (int x = 0; x < window.Width; x++)
            {
                int i = columns[window.Left + x] * channels;
                for (int c = 0; c < channels; c++)
                {
                    destination[o++] = row[i + c];
                }
            }
        }

        ArrayPool<int>.Shared.Return(columns);
        ArrayPool<int>.Shared.Return(rows);
    }

    /// <summary>The scale is summed up from pixel to pixel, as Pillow does it, which decides ties.</summary>
    private static void Positions(int size, int newSize, int[] positions)
    {
        double scale = (double)size / newSize;
        double at = scale * 0.5;
        for (int i = 0; i < newSize; i++, at += scale)
        {
            positions[i] = Math.Min((int)at, size - 1);
        }
    }

    private static void Across(ReadOnlySpan<byte> row, Span<byte> output, int channels, in ResampleWeights weights)
    {
        int pixels = output.Length / channels;
        for (int x = 0; x < pixels; x++)
        {
            ReadOnlySpan<int> w = weights.Of(x);
            int start = weights.First(x) * channels;
            int i = 0;
            Vector128<int> sum = Vector128.Create(1 << (FractionBits - 1));

            // Four bytes at a time hold a whole pixel (and of three channels one byte more, which is dropped).
            if (channels >= 3)
            {
                int room = row.Length - start - 4;
                int whole = room < 0 ? 0 : Math.Min(w.Length, (room / channels) + 1);
                ref byte first = ref Unsafe.Add(ref MemoryMarshal.GetReference(row), start);
                for (; i < whole; i++)
                {
                    uint four = Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref first, i * channels));
                    Vector128<ushort> wide = Vector128.WidenLower(Vector128.CreateScalarUnsafe(four).AsByte());
                    sum += Vector128.WidenLower(wide).AsInt32() * w[i];
                }
            }

            for (; i < w.Length; i++)
            {
                ReadOnlySpan<byte> p = row.Slice(start + (i * channels), channels);
                sum += Vector128.Create(p[0], channels > 1 ? p[1] : 0, channels > 2 ? p[2] : 0, channels > 3 ? p[3] : 0) * w[i];
            }

            for (int c = 0; c < channels; c++)
            {
                output[(x * channels) + c] = Round(sum.GetElement(c));
            }
        }
    }

    /// <summary>Two rows at once, in the halves of one register, for pixels of three or four samples.</summary>
    private static void AcrossTwo(ReadOnlySpan<byte> rows, Span<byte> output, int channels, in ResampleWeights weights)
    {
        int line = rows.Length / 2;
        int outputLine = output.Length / 2;
        ref byte upper = ref MemoryMarshal.GetReference(rows);
        for (int x = 0, o = 0; o < outputLine; x++, o += channels)
        {
            ReadOnlySpan<int> w = weights.Of(x);
            int at = weights.First(x) * channels;

            // The last pixel of three samples is read from one byte before it, so that nothing behind the rows is touched.
            int last = at + ((w.Length - 1) * channels);
            bool backwards = last + 4 > line;
            int whole = backwards ? w.Length - 1 : w.Length;
            Vector256<int> sum = Vector256.Create(1 << (FractionBits - 1));
            for (int i = 0; i < whole; i++, at += channels)
            {
                sum += Two(ref upper, at, at + line, shift: 0) * w[i];
            }

            if (backwards)
            {
                sum += Two(ref upper, last - 1, last - 1 + line, shift: 8) * w[whole];
            }

            for (int c = 0; c < channels; c++)
            {
                output[o + c] = Round(sum.GetElement(c));
                output[outputLine + o + c] = Round(sum.GetElement(4 + c));
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> Two(ref byte rows, int upper, int lower, int shift)
    {
        ulong first = Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref rows, upper)) >> shift;
        ulong second = Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref rows, lower)) >> shift;
        Vector128<byte> eight = Vector128.CreateScalarUnsafe(first | (second << 32)).AsByte();
        return Vector256.WidenLower(Vector128.WidenLower(eight).ToVector256Unsafe()).AsInt32();
    }

    private static void Down(ReadOnlySpan<byte> rows, int line, ReadOnlySpan<int> weights, Span<byte> output)
    {
        int x = 0;
        ref byte first = ref MemoryMarshal.GetReference(rows);
        for (; x <= line - 8; x += 8)
        {
            Vector256<int> sum = Vector256.Create(1 << (FractionBits - 1));
            ref byte at = ref Unsafe.Add(ref first, x);
            for (int i = 0; i < weights.Length; i++)
            {
                ulong eight = Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref at, i * line));
                Vector128<ushort> wide = Vector128.WidenLower(Vector128.CreateScalarUnsafe(eight).AsByte());
                sum += Vector256.WidenLower(wide.ToVector256Unsafe()).AsInt32() * weights[i];
            }

            Vector256<int> value = Vector256.Min(Vector256.Max(sum >> FractionBits, Vector256<int>.Zero), Vector256.Create(255));
            Vector128<short> narrow = Vector128.Narrow(value.GetLower(), value.GetUpper());
            ulong packed = Vector128.Narrow(narrow, narrow).AsUInt64().ToScalar();
            Unsafe.WriteUnaligned(ref output[x], packed);
        }

        for (; x < line; x++)
        {
            int sum = 1 << (FractionBits - 1);
            for (int i = 0; i < weights.Length; i++)
            {
                sum += rows[(i * line) + x] * weights[i];
            }

            output[x] = Round(sum);
        }
    }

    private static byte Round(int sum)
    {
        int value = sum >> FractionBits;
        return (uint)value > 255 ? (byte)(~value >> 31) : (byte)value;
    }

    private static void CheckSizes(ReadOnlySpan<byte> source, int width, int height, int channels, int newWidth, int newHeight,
        PixelWindow window, Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(Math.Min(Math.Min(width, height), Math.Min(newWidth, newHeight)), 1, nameof(width));
        ArgumentOutOfRangeException.ThrowIfNotEqual(channels is >= 1 and <= 4, true, nameof(channels));
        bool inside = window.Left >= 0 && window.Top >= 0 && window.Width >= 1 && window.Height >= 1
            && window.Width <= newWidth - window.Left && window.Height <= newHeight - window.Top;
        ArgumentOutOfRangeException.ThrowIfNotEqual(inside, true, nameof(window));
        ArgumentOutOfRangeException.ThrowIfLessThan(source.Length, checked(width * height * channels), nameof(source));
        ArgumentOutOfRangeException.ThrowIfLessThan(destination.Length, checked(window.Width * window.Height * channels),
            nameof(destination));
    }
}
