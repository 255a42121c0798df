using System.Globalization;
using System.Text;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

/// <summary>Which of a linear layer's three products.</summary>
public enum ProductForm
{
    /// <summary>y = x W^T: (N, in) times (in, out).</summary>
    Forward,

    /// <summary>dx = dy W: (N, out) times (out, in).</summary>
    BackwardInput,

    /// <summary>dW = dy^T x: (out, N) times (N, in).</summary>
    BackwardWeight,
}

/// <summary>One product: its form and sizes.</summary>
/// <param name="Form">Which product.</param>
/// <param name="Rows">Rows of the result.</param>
/// <param name="Columns">Columns of the result.</param>
/// <param name="Depth">Terms of each sum.</param>
public readonly record struct ProductShape(ProductForm Form, int Rows, int Columns, int Depth);

/// <summary>A way to make a product: the tile of a block, and over how many blocks a sum is split.</summary>
/// <param name="TileM">Rows of the result that a block makes.</param>
/// <param name="TileN">Columns of the result that a block makes.</param>
/// <param name="Splits">Blocks that share the sum of one tile.</param>
public readonly record struct ProductWay(int TileM, int TileN, int Splits);

/// <summary>
/// Ways that were measured to be faster than the plan's own choice on one GPU, by product. They are kept in a file that belongs to this GPU, storage
/// type and text of the kernels, so that a change of any of them is untuned again. Splitting a sum rounds it otherwise: a run is
/// repeatable to the bit with the same file only, which is why nothing tunes by itself.
/// </summary>
internal sealed class MatmulTuning
{
    private const string Extension = ".tuned";
    private readonly Dictionary<ProductShape, ProductWay> _ways = [];
    private readonly string? _path;

    private MatmulTuning(string? path) => _path = path;

    /// <summary>Products with a measured way.</summary>
    public int Count => _ways.Count;

    /// <summary>Reads what was kept for a GPU.</summary>
    /// <param name="folder">The folder of compiled kernels; null keeps nothing.</param>
    /// <param name="device">Name of the GPU.</param>
    /// <param name="architecture">What its kernels are compiled for.</param>
    /// <param name="real">Storage type.</param>
    /// <param name="note">Gets a sentence where the file is damaged and left aside.</param>
    public static MatmulTuning Load(string? folder, string device, string architecture, ElementType real, Action<string>? note)
    {
        if (folder is null)
        {
            return new MatmulTuning(null);
        }

        string[] files = real == ElementType.F32 ? ["matmul_simt", "matmul_reduce"] : ["matmul_mma", "matmul_reduce"];
        string key = KernelCompiler.Hash([device, architecture, KernelCompiler.TypeName(real), .. files.SelectMany(KernelSources.TextsOf)]);
        MatmulTuning tuning = new(Path.Combine(folder, "tuned", key + Extension));
        try
        {
            foreach (string line in File.Exists(tuning._path) ? File.ReadAllLines(tuning._path) : [])
            {
                (ProductShape shape, ProductWay way) = Parse(line, real);
                tuning._ways[shape] = way;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException)
        {
            tuning._ways.Clear();
            note?.Invoke($"The tuned products in {tuning._path} cannot be read ({e.Message}); products are planned without them. dvp kernels tune writes them anew.");
        }

        return tuning;
    }

    /// <summary>The measured way; null where the plan's own choice holds.</summary>
    public ProductWay? Find(ProductShape shape) => _ways.TryGetValue(shape, out ProductWay way) ? way : null;

    /// <summary>Notes a way; null takes a former one away.</summary>
    public void Set(ProductShape shape, ProductWay? way)
    {
        if (way is { } one)
        {
            _ways[shape] = one;
        }
        else
        {
            _ways.Remove(shape);
        }
    }

    /// <summary>Writes the file, as a whole or not at all.</summary>
    /// <returns>Its path; null where nothing is kept.</returns>
    /// <exception cref="DvpException">It cannot be written.</exception>
    public string? Save()
    {
        if (_path is null)
        {
            return null;
        }

        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(_path)!);
            KernelImage.WriteWhole(_path, Encoding.UTF8.GetBytes(string.Concat(_ways.Select(w => Line(w.Key, w.Value)).Order(StringComparer.Ordinal))));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new DvpException($"{_path} cannot be written: {e.Message}; DVP_CACHE_DIR names another folder.", e);
        }

        return _path;
    }

    private static string Line(ProductShape s, ProductWay w) =>
        string.Create(CultureInfo.InvariantCulture, $"{s.Form} {s.Rows} {s.Columns} {s.Depth} {w.TileM} {w.TileN} {w.Splits}\n");

    private static (ProductShape Shape, ProductWay Way) Parse(string line, ElementType real)
    {
        string[] words = line.Split(' ');
        if (words.Length != 7 || !Enum.TryParse(words[0], out ProductForm form))
        {
            throw new FormatException($"\"{line}\" is no product");
        }

        int[] n = [.. words[1..].Select(w => int.Parse(w, NumberStyles.None, CultureInfo.InvariantCulture))];
        (ProductShape shape, ProductWay way) = (new ProductShape(form, n[0], n[1], n[2]), new ProductWay(n[3], n[4], n[5]));
        return MatmulPlan.Ways(real, shape).Contains(way)
            ? (shape, way)
            : throw new FormatException($"\"{line}\" is no way that kernels have");
    }
}
