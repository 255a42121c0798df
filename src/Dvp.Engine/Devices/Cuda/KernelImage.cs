using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Dvp.Engine.IO;

namespace Dvp.Engine.Devices.Cuda;

/// <summary>
/// A compiled kernel file as it lies on disk: lines of text that say what it is (<c>head</c> shows them), an empty line, and the code.
/// </summary>
/// <param name="Variant">The variant's name.</param>
/// <param name="Target">sm_90a; or compute_80 for PTX.</param>
/// <param name="Compiler">The compiler that made it.</param>
/// <param name="Key">What it was made from, see <see cref="KernelCompiler.Key"/>.</param>
/// <param name="Code">CUBIN or PTX.</param>
internal sealed record KernelImage(string Variant, string Target, string Compiler, string Key, byte[] Code)
{
    private const string Magic = "dvp-kernel 1";

    /// <summary>The file's contents.</summary>
    public byte[] ToBytes()
    {
        string head = string.Create(
            CultureInfo.InvariantCulture,
            $"{Magic}\nvariant {Variant}\ntarget {Target}\ncompiler {Compiler}\nkey {Key}\ncode {Code.Length} {Hash(Code)}\n\n");
        return [.. Encoding.UTF8.GetBytes(head), .. Code];
    }

    /// <summary>Reads a file's contents.</summary>
    /// <exception cref="InvalidDataException">They are damaged.</exception>
    public static KernelImage Read(byte[] file)
    {
        int end = file.AsSpan().IndexOf("\n\n"u8);
        if (end < 0)
        {
            throw new InvalidDataException("it has no header");
        }

        string[] lines = Encoding.UTF8.GetString(file, 0, end).Split('\n');
        byte[] code = file[(end + 2)..];
        if (lines.Length != 6 || lines[0] != Magic)
        {
            throw new InvalidDataException("its header is of another kind");
        }

        if (Value(lines[5], "code") != string.Create(CultureInfo.InvariantCulture, $"{code.Length} {Hash(code)}"))
        {
            throw new InvalidDataException("its code is not what was written");
        }

        return new KernelImage(Value(lines[1], "variant"), Value(lines[2], "target"), Value(lines[3], "compiler"), Value(lines[4], "key"), code);
    }

    /// <summary>Writes a file so that whoever reads it finds all of it or the one before.</summary>
    public static void WriteWhole(string path, byte[] contents)
    {
        string temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        try
        {
            using (FileStream stream = new(temporary, FileMode.CreateNew, FileAccess.Write))
            {
                stream.Write(contents);
                stream.Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite: true);
        }
        catch
        {
            AtomicFile.Try(() => File.Delete(temporary)); // the first error is the one to show
            throw;
        }
    }

    private static string Value(string line, string name) => line.StartsWith(name + ' ', StringComparison.Ordinal)
        ? line[(name.Length + 1)..]
        : throw new InvalidDataException($"its header has no {name}");

    private static string Hash(byte[] code) => Convert.ToHexStringLower(SHA256.HashData(code));
}
