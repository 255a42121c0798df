using System.Buffers;
using System.Runtime.InteropServices;

namespace Dvp.Models.Images;

/// <summary>Antialiased bicubic resizing of 16-bit grey: as the one of bytes, but with weights and sums in double precision.</summary>
internal static class WideResampler
{
    /// <summary>Resizes; sizes and window as for bytes, two bytes a sample.</summary>
    public static void Bicubic(ReadOnlySpan<byte> source, int width, int height, int newWidth, int newHeight, PixelWindow window,
        Span<byte> destination)
    {
        ReadOnlySpan<ushort> input = MemoryMarshal.Cast<byte, ushort>(source);
        Span<ushort> output = MemoryMarshal.Cast<byte, ushort>(destination);
        ushort[] between = ArrayPool<ushort>.Shared.Rent(window.Width * height);
        for (int x = 0; x < window.Width; x++)
        {
            Pass(input, 1, width, width, newWidth, window.Left + x, between.AsSpan(x), window.Width, height);
        }

        for (int y = 0; y < window.Height; y++)
        {
            Pass(between, window.Width, 1, height, newHeight, window.Top + y, output[(y * window.Width)..], 1, window.Width);
        }

        ArrayPool<ushort>.Shared.Return(between);
    }

    /// <summary>Output number <paramref name="at"/> of a pass, for every line across it.</summary>
    private static void Pass(ReadOnlySpan<ushort> input, int step, int line, int size, int newSize, int at, Span<ushort> output,
        int outputLine, int lines)
    {
        Span<double> weights = [];
        int first = at;
        if (size != newSize)
        {
            weights = ResampleWeights.Exact(size, newSize, at, new double[ResampleWeights.MaxTaps(size, newSize)], out first);
        }

        for (int i = 0; i < lines; i++)
        {
            int start = (i * line) + (first * step);
            if (weights.IsEmpty)
            {
                output[i * outputLine] = input[start];
                continue;
            }

            double sum = 0;
            for (int t = 0; t < weights.Length; t++)
            {
                sum += input[start + (t * step)] * weights[t];
            }

            output[i * outputLine] = (ushort)Math.Clamp(Math.Floor(sum + 0.5), 0, 65535);
        }
    }
}
