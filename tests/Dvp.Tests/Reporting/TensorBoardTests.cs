using System.Buffers.Binary;
using System.Text;
using Dvp.Reporting;
using Dvp.Tests.Tasks;
using Xunit;

namespace Dvp.Tests.Reporting;

/// <summary>Event files read back by a reader of its own.</summary>
public class TensorBoardTests
{
    [Fact]
    public void The_checksum_is_crc32c_masked()
    {
        // RFC 3720: CRC-32C of "123456789" is E3069283; masked: rotated right by 15, plus a282ead8.
        uint rotated = (0xE3069283u >> 15) | (0xE3069283u << 17);
        Assert.Equal(rotated + 0xA282EAD8, TensorBoardWriter.MaskedCrc("123456789"u8));
    }

    [Fact]
    public void Scalars_are_read_back()
    {
        using TemporaryFolder folder = new();
        FixedTime time = new(DateTimeOffset.FromUnixTimeMilliseconds(1_700_000_000_250));
        string longTag = new('t', 300);
        string path;
        using (TensorBoardWriter writer = new(folder.File("events"), time))
        {
            path = writer.FilePath;
            writer.Scalar("loss/train", 1, 2.5);
            writer.Scalar("accuracy/va\u00e9l", 300_000, -0.125);
            writer.Scalar(longTag, long.MaxValue, float.MaxValue);
            Assert.Equal(4, Read(path).Count); // before the writer is closed: nothing waits in memory
        }

        List<Event> events = Read(path);
        Assert.StartsWith("events.out.tfevents.1700000000.", Path.GetFileName(path));
        Assert.Equal("brain.Event:2", events[0].Version);
        Assert.Equal(1_700_000_000.25, events[0].Time);
        Event[] scalars = [.. events.Skip(1)];
        Assert.Equal(["loss/train", "accuracy/va\u00e9l", longTag], scalars.Select(e => e.Tag));
        Assert.Equal([1L, 300_000L, long.MaxValue], scalars.Select(e => e.Step));
        Assert.Equal([2.5f, -0.125f, float.MaxValue], scalars.Select(e => e.Value));
        using TensorBoardWriter second = new(folder.File("events"), time);
        Assert.NotEqual(path, second.FilePath);
        Assert.Equal(4, Read(path).Count);
    }

    [Fact]
    public void A_known_tag_allocates_nothing()
    {
        using TemporaryFolder folder = new();
        using TensorBoardWriter writer = new(folder.Path);
        writer.Scalar("loss", 0, 1);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 1; i < 100; i++)
        {
            writer.Scalar("loss", i, i);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    private static List<Event> Read(string path)
    {
        using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        byte[] bytes = new byte[file.Length];
        file.ReadExactly(bytes);
        List<Event> events = [];
        for (int at = 0; at < bytes.Length;)
        {
            int length = (int)BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(at));
            Assert.Equal(Crc(bytes.AsSpan(at, 8)), BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at + 8)));
            ReadOnlySpan<byte> data = bytes.AsSpan(at + 12, length);
            Assert.Equal(Crc(data), BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at + 12 + length)));
            events.Add(Parse(data, new Event()));
            at += length + 16;
        }

        return events;
    }

    private static Event Parse(ReadOnlySpan<byte> data, Event e, int depth = 0)
    {
        while (!data.IsEmpty)
        {
            ulong key = Varint(ref data);
            switch (depth, (int)(key >> 3), (int)(key & 7))
            {
                case (0, 1, 1):
                    e.Time = BinaryPrimitives.ReadDoubleLittleEndian(data);
                    data = data[8..];
                    break;
                case (0, 2, 0):
                    e.Step = (long)Varint(ref data);
                    break;
                case (0, 3, 2):
                    e.Version = Encoding.UTF8.GetString(Bytes(ref data));
                    break;
                case (0, 5, 2) or (1, 1, 2):
                    Parse(Bytes(ref data), e, depth + 1);
                    break;
                case (2, 1, 2):
                    e.Tag = Encoding.UTF8.GetString(Bytes(ref data));
                    break;
                case (2, 2, 5):
                    e.Value = BinaryPrimitives.ReadSingleLittleEndian(data);
                    data = data[4..];
                    break;
                default:
                    Assert.Fail($"unexpected field {key >> 3} at depth {depth}");
                    break;
            }
        }

        return e;
    }

    private static ReadOnlySpan<byte> Bytes(ref ReadOnlySpan<byte> data)
    {
        int length = (int)Varint(ref data);
        ReadOnlySpan<byte> part = data[..length];
        data = data[length..];
        return part;
    }

    private static ulong Varint(ref ReadOnlySpan<byte> data)
    {
        ulong value = 0;
        for (int shift = 0; ; shift += 7)
        {
            byte b = data[0];
            data = data[1..];
            value |= (ulong)(b & 0x7F) << shift;
            if (b < 0x80)
            {
                return value;
            }
        }
    }

    /// <summary>Bit by bit, from the polynomial.</summary>
    private static uint Crc(ReadOnlySpan<byte> data)
    {
        uint crc = uint.MaxValue;
        foreach (byte b in data)
        {
            crc ^= b;
            for (int k = 0; k < 8; k++)
            {
                crc = (crc >> 1) ^ ((crc & 1) * 0x82F63B78);
            }
        }

        crc = ~crc;
        return ((crc >> 15) | (crc << 17)) + 0xA282EAD8;
    }

    private sealed class Event
    {
        public double Time { get; set; }

        public long Step { get; set; }

        public string? Version { get; set; }

        public string? Tag { get; set; }

        public float Value { get; set; }
    }

    private sealed class FixedTime(DateTimeOffset now) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => now;
    }
}
