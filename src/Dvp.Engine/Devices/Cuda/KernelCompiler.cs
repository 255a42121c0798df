using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Dvp.Cuda;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

/// <summary>Compiles the embedded kernel texts.</summary>
internal static class KernelCompiler
{
    /// <summary>The target whose PTX every GPU from Ampere on can run.</summary>
    public const string PortableTarget = "compute_80";

    private static readonly NvrtcHeader[] s_headers = [.. KernelSources.Headers.Select(h => new NvrtcHeader(h, KernelSources.Text(h)))];
    private static readonly ConcurrentDictionary<string, string> s_hashes = new();

    /// <summary>Compiles a variant.</summary>
    /// <param name="nvrtc">The compiler.</param>
    /// <param name="variant">What to compile.</param>
    /// <param name="target">sm_80 and the like for machine code, compute_80 for PTX.</param>
    /// <param name="more">Further options: <c>--ptxas-options=-v</c>.</param>
    /// <exception cref="DvpException">It does not compile; the message has the log.</exception>
    public static NvrtcResult Compile(Nvrtc nvrtc, KernelVariant variant, string target, params ReadOnlySpan<string> more)
    {
        try
        {
            string file = $"{variant.File}.cu";
            return nvrtc.Compile(KernelSources.Text(file), file, s_headers, [.. Options(variant, target), .. more]);
        }
        catch (CudaException e)
        {
            throw CudaFailure.Wrap(e);
        }
    }

    /// <summary>The full list of options of a compilation.</summary>
    public static IReadOnlyList<string> Options(KernelVariant variant, string target)
    {
        List<string> options = [$"-arch={target}", "--std=c++17", "-default-device", $"-Dreal={TypeName(variant.Real)}"];
        options.AddRange(variant.Options.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(word => $"-D{word}"));
        return options;
    }

    /// <summary>The element types behind the type names that a variant defines: real, stream, table.</summary>
    public static IReadOnlyDictionary<string, ElementType> Types(KernelVariant variant)
    {
        Dictionary<string, ElementType> types = new(StringComparer.Ordinal) { ["real"] = variant.Real };
        foreach (string word in variant.Options.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            string[] parts = word.Split('=', 2);
            if (parts.Length == 2 && Type(parts[1]) is { } type)
            {
                types[parts[0]] = type;
            }
        }

        return types;
    }

    /// <summary>Hash of all that decides what a compilation makes but the compiler: file, texts of file and headers, options.</summary>
    public static string Key(KernelVariant variant, string target) =>
        Hash([variant.File, .. Options(variant, target), s_hashes.GetOrAdd(variant.File, SourceHash)]);

    /// <summary>A variant as file names have it: <c>layernorm.bf16.stream=f32,head_size=64</c>.</summary>
    public static string FileName(KernelVariant variant)
    {
        string options = variant.Options.Length == 0 ? "" : $".{variant.Options.Replace(' ', ',')}";
        return $"{variant.File}.{TypeName(variant.Real)}{options}";
    }

    /// <summary>SHA-256 of several texts, told apart from their concatenation.</summary>
    public static string Hash(IEnumerable<string> texts)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string text in texts)
        {
            byte[] bytes = Encoding.UTF8.GetBytes(text);
            hash.AppendData(BitConverter.GetBytes(bytes.Length));
            hash.AppendData(bytes);
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>The name that the kernel texts give a storage type.</summary>
    public static string TypeName(ElementType type) => type switch
    {
        ElementType.F32 => "f32",
        ElementType.BF16 => "bf16",
        ElementType.F16 => "f16",
        _ => throw new ArgumentException($"Kernels do not store {type}.", nameof(type)),
    };

    private static ElementType? Type(string name) => name switch
    {
        "f32" or "float" => ElementType.F32,
        "bf16" => ElementType.BF16,
        "f16" => ElementType.F16,
        _ => null,
    };

    private static string SourceHash(string file) =>
        Hash([KernelSources.Text($"{file}.cu"), .. s_headers.SelectMany(h => new[] { h.Name, h.Text })]);
}
