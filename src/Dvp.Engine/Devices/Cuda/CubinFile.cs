using System.Buffers.Binary;
using System.Text;

namespace Dvp.Engine.Devices.Cuda;

/// <summary>
/// Reads from compiled code what the compiler's log does not say: the block size that <c>__launch_bounds__</c> set, which the text alone
/// cannot give where it is an expression. A CUBIN is an ELF file; each entry point has a section of attributes, <c>.nv.info.NAME</c>.
/// </summary>
internal static class CubinFile
{
    private const string InfoPrefix = ".nv.info.";
    private const byte SizedFormat = 4; // of an attribute: its value is that many bytes; in other formats it is the two bytes that follow
    private const byte MostThreads = 5; // the attribute behind launch bounds: three extents

    /// <summary>Threads of the largest block of each entry point that declares one.</summary>
    /// <param name="cubin">The compiled code.</param>
    /// <exception cref="InvalidDataException">The bytes are no CUBIN, or a damaged one.</exception>
    public static IReadOnlyDictionary<string, int> LaunchBounds(ReadOnlySpan<byte> cubin)
    {
        Dictionary<string, int> bounds = [];
        foreach ((string name, Range range) in Sections(cubin))
        {
            if (name.StartsWith(InfoPrefix, StringComparison.Ordinal) && Threads(cubin[range]) is { } threads)
            {
                bounds.Add(name[InfoPrefix.Length..], threads);
            }
        }

        return bounds;
    }

    private static List<(string Name, Range Bytes)> Sections(ReadOnlySpan<byte> elf)
    {
        if (elf.Length < 64 || !elf.StartsWith("\x7f"u8) || !elf[1..].StartsWith("ELF\x02\x01"u8))
        {
            throw new InvalidDataException("This is no CUBIN: the ELF header is missing.");
        }

        try
        {
            long headers = BinaryPrimitives.ReadInt64LittleEndian(elf[40..]);
            int size = BinaryPrimitives.ReadUInt16LittleEndian(elf[58..]), count = BinaryPrimitives.ReadUInt16LittleEndian(elf[60..]);
            int names = BinaryPrimitives.ReadUInt16LittleEndian(elf[62..]);
            ReadOnlySpan<byte> strings = elf[Section(elf, headers, size, names).Bytes];
            List<(string, Range)> sections = new(count);
            for (int i = 0; i < count; i++)
            {
                (int nameAt, Range bytes, bool occupies) = Section(elf, headers, size, i);
                ReadOnlySpan<byte> name = strings[nameAt..];
                if (occupies)
                {
                    sections.Add((Encoding.ASCII.GetString(name[..name.IndexOf((byte)0)]), bytes));
                }
            }

            return sections;
        }
        catch (Exception e) when (e is ArgumentOutOfRangeException or OverflowException)
        {
            throw new InvalidDataException("This CUBIN is cut or damaged: a section lies outside it.", e);
        }
    }

    private static (int NameAt, Range Bytes, bool Occupies) Section(ReadOnlySpan<byte> elf, long headers, int size, int index)
    {
        ReadOnlySpan<byte> header = elf.Slice(checked((int)(headers + ((long)size * index))), 64);
        const int NoBits = 8;
        bool occupies = BinaryPrimitives.ReadInt32LittleEndian(header[4..]) != NoBits;
        int start = occupies ? checked((int)BinaryPrimitives.ReadInt64LittleEndian(header[24..])) : 0;
        int length = occupies ? checked((int)BinaryPrimitives.ReadInt64LittleEndian(header[32..])) : 0;
        _ = elf.Slice(start, length);
        return (BinaryPrimitives.ReadInt32LittleEndian(header), start..(start + length), occupies);
    }

    private static int? Threads(ReadOnlySpan<byte> attributes)
    {
        while (attributes.Length >= 4)
        {
            (byte format, byte kind) = (attributes[0], attributes[1]);
            int value = BinaryPrimitives.ReadUInt16LittleEndian(attributes[2..]);
            attributes = attributes[4..];
            if (format != SizedFormat)
            {
                continue;
            }

            if (value > attributes.Length)
            {
                throw new InvalidDataException("This CUBIN is cut or damaged: an attribute lies outside its section.");
            }

            if (kind == MostThreads && value == 12)
            {
                return BinaryPrimitives.ReadInt32LittleEndian(attributes)
                    * BinaryPrimitives.ReadInt32LittleEndian(attributes[4..])
                    * BinaryPrimitives.ReadInt32LittleEndian(attributes[8..]);
            }

            attributes = attributes[value..];
        }

        return null;
    }
}
