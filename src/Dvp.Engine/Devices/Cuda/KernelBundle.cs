using System.Globalization;

namespace Dvp.Engine.Devices.Cuda;

/// <summary>A folder of kernels compiled beforehand, so that a machine needs nothing but the driver.</summary>
internal sealed class KernelBundle
{
    private readonly string _folder;
    private readonly Action<string>? _note;

    /// <summary>Opens a bundle.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="note">Gets a sentence where an entry is of no use.</param>
    /// <exception cref="DvpException">The folder is not there.</exception>
    public KernelBundle(string folder, Action<string>? note)
    {
        if (!Directory.Exists(folder))
        {
            throw new DvpException($"The folder of compiled kernels {folder} is not there: make it with dvp kernels build, or unset DVP_KERNELS_DIR.");
        }

        (_folder, _note) = (folder, note);
    }

    /// <summary>The name of a variant's file in a bundle.</summary>
    public static string FileName(KernelVariant variant, string target) =>
        $"{KernelCompiler.FileName(variant)}.{target}.{(target.StartsWith("sm_", StringComparison.Ordinal) ? "cubin" : "ptx")}";

    /// <summary>Writes one compiled variant.</summary>
    public static void Write(string folder, KernelVariant variant, KernelImage image) =>
        KernelImage.WriteWhole(Path.Combine(folder, FileName(variant, image.Target)), image.ToBytes());

    /// <summary>The code of a variant for a device: of its own architecture, of a lower one that it runs, or PTX; null where there is none.</summary>
    /// <param name="variant">The variant.</param>
    /// <param name="major">Compute capability, in front of the point.</param>
    /// <param name="minor">Compute capability, behind the point.</param>
    public KernelImage? Find(KernelVariant variant, int major, int minor)
    {
        foreach (string target in Targets(major, minor))
        {
            string path = Path.Combine(_folder, FileName(variant, target));
            if (File.Exists(path) && Read(path, variant, target) is { } image)
            {
                return image;
            }
        }

        return null;
    }

    // Machine code runs on its own capability and on later minor ones; that of sm_90a on its own only.
    private static IEnumerable<string> Targets(int major, int minor)
    {
        yield return string.Create(CultureInfo.InvariantCulture, $"sm_{major}{minor}a");
        for (int m = minor; m >= 0; m--)
        {
            yield return string.Create(CultureInfo.InvariantCulture, $"sm_{major}{m}");
        }

        yield return KernelCompiler.PortableTarget;
    }

    private KernelImage? Read(string path, KernelVariant variant, string target)
    {
        try
        {
            KernelImage image = KernelImage.Read(File.ReadAllBytes(path));
            if (image.Key == KernelCompiler.Key(variant, target))
            {
                return image;
            }

            _note?.Invoke($"{path} was compiled from other kernel texts than this program has; build the bundle again.");
        }
        catch (Exception e) when (e is InvalidDataException or IOException or UnauthorizedAccessException)
        {
            _note?.Invoke($"{path} cannot be used: {e.Message}.");
        }

        return null;
    }
}
