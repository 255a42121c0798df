using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;
using System.Text;
using Dvp.Engine;

namespace Dvp.Reporting;

/// <summary>
/// Scalars as a TensorBoard event file. Each record is framed as TensorFlow does it: length (u64), masked CRC-32C of the length,
/// data, masked CRC-32C of the data, all little-endian; the data is an <c>Event</c> message of its protocol buffers
/// (1 wall_time: double, 2 step: int64, 3 file_version: string, 5 summary: {1 value: {1 tag: string, 2 simple_value: float}}).
/// Every call reaches the file before it returns, so a killed run keeps its curves; after the first call with a tag it
/// allocates nothing.
/// </summary>
public sealed class TensorBoardWriter : IDisposable
{
    private const byte Fixed64 = 1, Bytes = 2, Fixed32 = 5;
    private readonly FileStream _file;
    private readonly TimeProvider _time;
    private readonly Dictionary<string, byte[]> _tags = new(StringComparer.Ordinal);
    private byte[] _record = new byte[256];

    /// <summary>Starts a new event file in <paramref name="folder"/>; TensorBoard shows all files of a folder as one run.</summary>
    /// <param name="folder">Made when it is missing.</param>
    /// <param name="time">The clock, for tests; null takes the system's.</param>
    /// <exception cref="DvpException">The file cannot be made.</exception>
    public TensorBoardWriter(string folder, TimeProvider? time = null)
    {
        _time = time ?? TimeProvider.System;
        try
        {
            Directory.CreateDirectory(folder);
            _file = Create(folder, _time.GetUtcNow().ToUnixTimeSeconds());
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new DvpException($"No TensorBoard file can be written in {folder}: {e.Message}", e);
        }

        FilePath = _file.Name;
        int length = Head(0);
        Write(Text(_record, length, 3, "brain.Event:2"u8));
    }

    /// <summary>The event file.</summary>
    public string FilePath { get; }

    /// <summary>Appends one value.</summary>
    /// <param name="tag">The curve's name; a slash groups curves.</param>
    /// <param name="step">The optimiser step.</param>
    /// <param name="value">The value, stored as f32.</param>
    /// <exception cref="DvpException">The disk is full or gone.</exception>
    public void Scalar(string tag, long step, double value)
    {
        if (!_tags.TryGetValue(tag, out byte[]? name))
        {
            _tags.Add(tag, name = Encoding.UTF8.GetBytes(tag));
        }

        if (_record.Length < name.Length + 64)
        {
            _record = new byte[name.Length + 64];
        }

        int length = Head(step);
        int inner = 1 + VarintLength((ulong)name.Length) + name.Length + 1 + sizeof(float);
        int summary = 1 + VarintLength((ulong)inner) + inner;
        length = Varint(_record, Key(_record, length, 5, Bytes), (ulong)summary);
        length = Varint(_record, Key(_record, length, 1, Bytes), (ulong)inner);
        length = Text(_record, length, 1, name);
        length = Key(_record, length, 2, Fixed32);
        BinaryPrimitives.WriteSingleLittleEndian(_record.AsSpan(length), (float)value);
        Write(length + sizeof(float));
    }

    /// <summary>Closes the file.</summary>
    public void Dispose() => _file.Dispose();

    /// <summary>CRC-32C, rotated and shifted so that a checksum of checksums stays a checksum; as TensorFlow's records have it.</summary>
    internal static uint MaskedCrc(ReadOnlySpan<byte> data)
    {
        uint crc = uint.MaxValue;
        foreach (byte b in data)
        {
            crc = BitOperations.Crc32C(crc, b);
        }

        return BitOperations.RotateRight(~crc, 15) + 0xA282EAD8;
    }

    private static FileStream Create(string folder, long seconds)
    {
        for (int i = 0; ; i++)
        {
            string suffix = i == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $".{i}");
            string path = Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"events.out.tfevents.{seconds}.dvp{suffix}"));
            if (!File.Exists(path))
            {
                return new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
            }
        }
    }

    /// <summary>Wall time and step, written after the room for the frame's head.</summary>
    private int Head(long step)
    {
        int at = Key(_record, 12, 1, Fixed64);
        double seconds = (_time.GetUtcNow() - DateTimeOffset.UnixEpoch).TotalSeconds;
        BinaryPrimitives.WriteDoubleLittleEndian(_record.AsSpan(at), seconds);
        at += sizeof(double);
        return Varint(_record, Key(_record, at, 2, 0), (ulong)step);
    }

    private void Write(int length)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(_record, (ulong)(length - 12));
        BinaryPrimitives.WriteUInt32LittleEndian(_record.AsSpan(8), MaskedCrc(_record.AsSpan(0, 8)));
        BinaryPrimitives.WriteUInt32LittleEndian(_record.AsSpan(length), MaskedCrc(_record.AsSpan(12, length - 12)));
        try
        {
            _file.Write(_record, 0, length + 4);
        }
        catch (IOException e)
        {
            throw new DvpException($"{FilePath} cannot be written: {e.Message}", e);
        }
    }

    private static int Key(byte[] buffer, int at, int field, int wireType)
    {
        buffer[at] = (byte)((field << 3) | wireType);
        return at + 1;
    }

    private static int Text(byte[] buffer, int at, int field, ReadOnlySpan<byte> text)
    {
        at = Varint(buffer, Key(buffer, at, field, Bytes), (ulong)text.Length);
        text.CopyTo(buffer.AsSpan(at));
        return at + text.Length;
    }

    private static int Varint(byte[] buffer, int at, ulong value)
    {
        for (; value >= 0x80; value >>= 7)
        {
            buffer[at++] = (byte)(value | 0x80);
        }

        buffer[at] = (byte)value;
        return at + 1;
    }

    private static int VarintLength(ulong value)
    {
        int length = 1;
        for (; value >= 0x80; value >>= 7)
        {
            length++;
        }

        return length;
    }
}
