using System.Diagnostics;
using Dvp.Engine;
using Dvp.Settings;

namespace Dvp.Profiling;

/// <summary>Machine code as text, by CUDA's nvdisasm.</summary>
public sealed class Disassembler
{
    /// <summary>The program's name.</summary>
    public const string Program = "nvdisasm";

    private readonly string _file;

    private Disassembler(string file) => _file = file;

    /// <summary>Looks for the program.</summary>
    /// <exception cref="DvpException">It is not there.</exception>
    public static Disassembler Find() => new(DvpEnvironment.FindCudaProgram(Program) ?? throw new DvpException(
        $"{Program} was not found beside NVRTC, on the PATH or in CUDA_PATH/bin; it comes with the CUDA toolkit. Leave --sass out, or install it."));

    /// <summary>The instructions of one function.</summary>
    /// <param name="cubin">Compiled code.</param>
    /// <param name="entry">The function.</param>
    /// <exception cref="DvpException">The program fails, or knows no such function.</exception>
    public MachineCodeListing Disassemble(byte[] cubin, string entry)
    {
        string file = Path.Combine(Path.GetTempPath(), $"dvp-{Guid.NewGuid():N}.cubin");
        try
        {
            File.WriteAllBytes(file, cubin);
            using Process process = Process.Start(new ProcessStartInfo(_file, ["-c", file]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
            Task<string> errors = process.StandardError.ReadToEndAsync();
            string text = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return process.ExitCode == 0
                ? MachineCodeListing.Parse(Function(text, entry) ?? throw new DvpException($"{_file} shows no function {entry}."))
                : throw new DvpException($"{_file} failed: {errors.GetAwaiter().GetResult().Trim()}");
        }
        finally
        {
            File.Delete(file);
        }
    }

    /// <summary>The part of a listing that belongs to one function; null where it has none.</summary>
    internal static string? Function(string listing, string entry)
    {
        string[] lines = listing.Split('\n');
        int start = Array.FindIndex(lines, l => l.StartsWith("//---", StringComparison.Ordinal) && l.Contains($" .text.{entry} ", StringComparison.Ordinal));
        if (start < 0)
        {
            return null;
        }

        int end = Array.FindIndex(lines, start + 1, l => l.StartsWith("//---", StringComparison.Ordinal));
        return string.Join('\n', lines[(start + 1)..(end < 0 ? lines.Length : end)]).TrimEnd();
    }
}
