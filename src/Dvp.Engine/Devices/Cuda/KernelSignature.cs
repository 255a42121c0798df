using System.Collections.Frozen;
using System.Globalization;
using System.Text.RegularExpressions;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

/// <summary>
/// The declaration of an <c>extern "C" __global__</c> function, read from the text that is compiled: every launch is held against it, so
/// that a launcher with one argument too many, two in the wrong order or a tensor of another type fails before the device sees it.
/// </summary>
internal sealed partial class KernelSignature
{
    private KernelSignature(string file, string name, KernelParameter[] parameters) => (File, Name, Parameters) = (file, name, parameters);

    /// <summary>The .cu file, without folder and extension.</summary>
    public string File { get; }

    /// <summary>The entry point.</summary>
    public string Name { get; }

    /// <summary>The parameters in order.</summary>
    public IReadOnlyList<KernelParameter> Parameters { get; }

    /// <summary>Reads every entry point of a file.</summary>
    /// <param name="file">Name of the file, without folder and extension.</param>
    /// <param name="text">Its text.</param>
    /// <param name="types">Element types behind the names that the options define: real, stream, table.</param>
    /// <exception cref="InvalidOperationException">A parameter has a type that no launch can give.</exception>
    public static FrozenDictionary<string, KernelSignature> Read(string file, string text, IReadOnlyDictionary<string, ElementType> types)
    {
        Dictionary<string, KernelSignature> all = [];
        foreach (Match entry in EntryPoint().Matches(Comment().Replace(text, "")))
        {
            string name = entry.Groups["name"].Value;
            string list = entry.Groups["parameters"].Value.Trim();
            KernelParameter[] parameters = list.Length == 0 ? [] : [.. list.Split(',').Select(p => Parameter(file, name, p.Trim(), types))];
            all.Add(name, new KernelSignature(file, name, parameters));
        }

        return all.ToFrozenDictionary(StringComparer.Ordinal);
    }

    /// <summary>Compares a launch with the declaration.</summary>
    /// <exception cref="ArgumentException">Count, kind or element type differ.</exception>
    public void Check(ReadOnlySpan<KernelArgument> arguments)
    {
        if (arguments.Length != Parameters.Count)
        {
            throw new ArgumentException($"{Name} takes {Parameters.Count} arguments and was given {arguments.Length}.", nameof(arguments));
        }

        for (int i = 0; i < arguments.Length; i++)
        {
            KernelParameter parameter = Parameters[i];
            if (arguments[i].Kind != parameter.Kind
                || (arguments[i].Element is { } element && parameter.Element is { } wanted && element != wanted))
            {
                string given = arguments[i].Element is { } type ? $"a tensor of {type}" : $"{arguments[i].Kind}";
                throw new ArgumentException($"Argument {i} of {Name} is {parameter.Text} and was given {given}.", nameof(arguments));
            }
        }
    }

    /// <summary>Compares the declaration with what was compiled.</summary>
    /// <param name="bytes">Size of each parameter, as the driver knows it; null where it does not tell.</param>
    /// <exception cref="InvalidOperationException">The sizes differ: the text was read wrongly.</exception>
    public void CheckSizes(IReadOnlyList<int>? bytes)
    {
        if (bytes is not null && !bytes.SequenceEqual(Parameters.Select(p => p.Kind is KernelArgumentKind.Pointer or KernelArgumentKind.Long ? 8 : 4)))
        {
            throw new InvalidOperationException(
                $"{Name} was compiled with parameters of {string.Join(", ", bytes)} bytes, and its declaration has "
                + $"{string.Join(", ", Parameters.Select(p => p.Text))}.");
        }
    }

    private static KernelParameter Parameter(string file, string entry, string text, IReadOnlyDictionary<string, ElementType> types)
    {
        string[] words = Word().Matches(text).Select(m => m.Value).Where(w => w is not ("const" or "__restrict__" or "__grid_constant__")).ToArray();
        int pointers = words.Count(w => w == "*");
        string type = words[0];
        if (pointers == 0)
        {
            return new KernelParameter(text, type switch
            {
                "int" or "unsigned" => KernelArgumentKind.Int,
                "long" or "size_t" => KernelArgumentKind.Long,
                "float" => KernelArgumentKind.Float,
                _ => throw new InvalidOperationException(
                    string.Create(CultureInfo.InvariantCulture, $"{file}.cu: {entry} has the parameter '{text}', which a launch cannot give.")),
            }, null);
        }

        ElementType? element = pointers > 1 ? null : type switch
        {
            "float" or "f32" => ElementType.F32,
            "bf16" => ElementType.BF16,
            "f16" => ElementType.F16,
            "int" or "unsigned" => ElementType.I32,
            "double" => ElementType.F64,
            _ => types.TryGetValue(type, out ElementType defined) ? defined : null,
        };
        return new KernelParameter(text, KernelArgumentKind.Pointer, element);
    }

    [GeneratedRegex("""extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?(?<name>\w+)\s*\((?<parameters>[^)]*)\)""")]
    private static partial Regex EntryPoint();

    [GeneratedRegex(@"//[^\n]*|/\*.*?\*/", RegexOptions.Singleline)]
    private static partial Regex Comment();

    [GeneratedRegex(@"\w+|\*")]
    private static partial Regex Word();
}

/// <summary>One parameter of a kernel.</summary>
/// <param name="Text">As the file has it.</param>
/// <param name="Kind">What it is.</param>
/// <param name="Element">Element type behind a pointer; null where any fits.</param>
internal sealed record KernelParameter(string Text, KernelArgumentKind Kind, ElementType? Element);
