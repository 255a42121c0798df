using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Dvp.Models.Images;

/// <summary>
/// One decoded component and its rows at the picture's full size: halved chroma is interpolated with weights 3/4 and 1/4, as the
/// IJG decoder does, everything else repeated.
/// </summary>
internal sealed class JpegPlane
{
    private readonly byte[] _data;
    private readonly int _stride;
    private readonly int _width;
    private readonly int _columns;
    private readonly int _rows;
    private readonly int _across;
    private readonly int _down;
    private readonly byte[] _line;
    private readonly ushort[] _sums; // one column more at both ends
    private int _lineOf = -1;

    /// <summary>Wraps the samples of a component.</summary>
    /// <param name="data">Its rows, whole blocks.</param>
    /// <param name="stride">Samples from row to row.</param>
    /// <param name="width">Pixels in a row of the picture.</param>
    /// <param name="height">Rows of the picture.</param>
    /// <param name="across">Pixels a sample horizontally.</param>
    /// <param name="down">Pixels a sample vertically.</param>
    public JpegPlane(byte[] data, int stride, int width, int height, int across, int down)
    {
        _data = data;
        _stride = stride;
        _width = width;
        _columns = (width + across - 1) / across;
        _rows = (height + down - 1) / down;
        _across = across;
        _down = down;
        _sums = across == 2 && down == 2 ? new ushort[_columns + 2] : [];
        _line = across == 1 && down == 1 ? [] : new byte[_columns * across];
    }

    /// <summary>Row y of the picture; valid until the next call.</summary>
    public ReadOnlySpan<byte> Row(int y)
    {
        if (_across == 1 && _down == 1)
        {
            return Samples(y)[.._width];
        }

        bool blendAcross = _across == 2 && _columns > 2;
        if (_across == 2 && _down == 2 && blendAcross)
        {
            BlendBoth(y);
        }
        else if (_across == 2 && _down == 1 && blendAcross)
        {
            BlendAcross(Samples(y));
        }
        else if (_across == 1 && _down == 2)
        {
            BlendDown(y);
        }
        else if (_lineOf != y / _down)
        {
            Repeat(Samples(y / _down));
        }

        _lineOf = y / _down;
        return _line.AsSpan(0, _width);
    }

    private ReadOnlySpan<byte> Samples(int row) => _data.AsSpan(row * _stride, _columns);

    /// <summary>The nearest row of samples above or below the one that row y lies in, the same one at the edges.</summary>
    private ReadOnlySpan<byte> Neighbour(int y) => Samples(Math.Clamp((y / 2) + ((y & 1) == 0 ? -1 : 1), 0, _rows - 1));

    private void BlendAcross(ReadOnlySpan<byte> s)
    {
        Span<byte> line = _line;
        line[0] = s[0];
        line[1] = (byte)(((3 * s[0]) + s[1] + 2) >> 2);
        for (int i = 1; i < s.Length - 1; i++)
        {
            int three = 3 * s[i];
            line[2 * i] = (byte)((three + s[i - 1] + 1) >> 2);
            line[(2 * i) + 1] = (byte)((three + s[i + 1] + 2) >> 2);
        }

        line[^2] = (byte)(((3 * s[^1]) + s[^2] + 1) >> 2);
        line[^1] = s[^1];
    }

    private void BlendDown(int y)
    {
        ReadOnlySpan<byte> near = Samples(y / 2);
        ReadOnlySpan<byte> far = Neighbour(y);
        int bias = (y & 1) == 0 ? 1 : 2;
        for (int i = 0; i < near.Length; i++)
        {
            _line[i] = (byte)(((3 * near[i]) + far[i] + bias) >> 2);
        }
    }

    private void BlendBoth(int y)
    {
        if (Vector128.IsHardwareAccelerated && BitConverter.IsLittleEndian)
        {
            BlendBothByVectors(Samples(y / 2), Neighbour(y));
            return;
        }

        ReadOnlySpan<byte> near = Samples(y / 2);
        ReadOnlySpan<byte> far = Neighbour(y)[..near.Length];
        Span<byte> line = _line;
        int current = (3 * near[0]) + far[0];
        line[0] = (byte)(((4 * current) + 8) >> 4);
        for (int i = 1; i < near.Length; i++)
        {
            int next = (3 * near[i]) + far[i];
            line[(2 * i) - 1] = (byte)(((3 * current) + next + 7) >> 4);
            line[2 * i] = (byte)(((3 * next) + current + 8) >> 4);
            current = next;
        }

        line[^1] = (byte)(((4 * current) + 7) >> 4);
    }

    /// <summary>The same with sums of columns made first, so that eight of them and their neighbours load at once.</summary>
    private void BlendBothByVectors(ReadOnlySpan<byte> near, ReadOnlySpan<byte> far)
    {
        Span<ushort> sums = _sums.AsSpan(1, near.Length);
        int i = 0;
        for (; i <= near.Length - 8; i += 8)
        {
            Vector128<ushort> a = Vector128.WidenLower(Vector128.CreateScalar(BitConverter.ToUInt64(near[i..])).AsByte());
            Vector128<ushort> b = Vector128.WidenLower(Vector128.CreateScalar(BitConverter.ToUInt64(far[i..])).AsByte());
            ((a * 3) + b).CopyTo(sums[i..]);
        }

        for (; i < near.Length; i++)
        {
            sums[i] = (ushort)((3 * near[i]) + far[i]);
        }

        // At both ends the neighbour is the column itself.
        _sums[0] = sums[0];
        _sums[near.Length + 1] = sums[^1];
        Span<ushort> pairs = MemoryMarshal.Cast<byte, ushort>(_line.AsSpan());
        for (i = 0; i <= near.Length - 8; i += 8)
        {
            Vector128<ushort> three = Vector128.Create(_sums.AsSpan(i + 1)) * 3;
            Vector128<ushort> even = (three + Vector128.Create(_sums.AsSpan(i)) + Vector128.Create((ushort)8)) >> 4;
            Vector128<ushort> odd = (three + Vector128.Create(_sums.AsSpan(i + 2)) + Vector128.Create((ushort)7)) >> 4;
            (even | (odd << 8)).CopyTo(pairs[i..]);
        }

        for (; i < near.Length; i++)
        {
            int three = 3 * _sums[i + 1];
            _line[2 * i] = (byte)((three + _sums[i] + 8) >> 4);
            _line[(2 * i) + 1] = (byte)((three + _sums[i + 2] + 7) >> 4);
        }
    }

    private void Repeat(ReadOnlySpan<byte> s)
    {
        for (int i = 0, o = 0; i < s.Length; i++)
        {
            for (int r = 0; r < _across; r++)
            {
                _line[o++] = s[i];
            }
        }
    }
}
