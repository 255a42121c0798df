namespace Dvp.Engine.Devices.Cuda;

/// <summary>
/// Compiled kernels on disk. Any number of processes may use the folder at once: entries are written under another name and renamed, and
/// whoever finds a damaged one takes it away and compiles again. A folder that cannot be written only costs the time of compiling.
/// </summary>
internal sealed class CubinCache
{
    private const string Extension = ".kernel";
    private static readonly TimeSpan s_abandoned = TimeSpan.FromHours(1);
    private readonly string _folder;
    private readonly long _maxBytes;
    private readonly Action<string>? _note;

    /// <summary>Names the folder; it is made when something is stored.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="maxBytes">The most bytes of all entries together.</param>
    /// <param name="note">Gets a sentence where something was mended.</param>
    public CubinCache(string folder, long maxBytes, Action<string>? note) => (_folder, _maxBytes, _note) = (folder, maxBytes, note);

    /// <summary>The code of a variant; null where it must be compiled.</summary>
    /// <param name="variant">The variant.</param>
    /// <param name="target">What it is compiled for.</param>
    /// <param name="compiler">Identity of the compiler.</param>
    public KernelImage? Find(KernelVariant variant, string target, string compiler)
    {
        string path = PathOf(variant, target, compiler);
        try
        {
            KernelImage image = KernelImage.Read(File.ReadAllBytes(path));
            if (image.Key != KernelCompiler.Key(variant, target) || image.Compiler != compiler)
            {
                throw new InvalidDataException("it is of another kernel");
            }

            MarkUsed(path);
            return image;
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        catch (InvalidDataException e)
        {
            Discard(variant, target, compiler, e.Message);
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _note?.Invoke($"The kernel cache entry {path} cannot be read ({e.Message}); the kernel is compiled again.");
            return null;
        }
    }

    /// <summary>Keeps a compiled kernel and makes room for it.</summary>
    public void Store(KernelVariant variant, KernelImage image)
    {
        try
        {
            Directory.CreateDirectory(_folder);
            KernelImage.WriteWhole(PathOf(variant, image.Target, image.Compiler), image.ToBytes());
            Evict();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _note?.Invoke($"The kernel cache {_folder} cannot be written ({e.Message}); kernels are compiled in every process.");
        }
    }

    /// <summary>Takes an entry away that turned out to be of no use.</summary>
    public void Discard(KernelVariant variant, string target, string compiler, string reason)
    {
        string path = PathOf(variant, target, compiler);
        _note?.Invoke($"The kernel cache entry {path} is damaged ({reason}); it is built again.");
        TryDelete(path);
    }

    private string PathOf(KernelVariant variant, string target, string compiler)
    {
        string key = KernelCompiler.Hash([KernelCompiler.Key(variant, target), compiler]);
        return Path.Combine(_folder, $"{variant.File}.{KernelCompiler.TypeName(variant.Real)}.{target}.{key[..32]}{Extension}");
    }

    // The time of writing doubles as the time of the last use: times of access are often not kept.
    private static void MarkUsed(string path)
    {
        try
        {
            File.SetLastWriteTimeUtc(path, DateTime.UtcNow);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A folder that is read only never evicts either.
        }
    }

    private void Evict()
    {
        DirectoryInfo folder = new(_folder);
        foreach (FileInfo left in folder.GetFiles($"*{Extension}.*.tmp"))
        {
            if (DateTime.UtcNow - left.LastWriteTimeUtc > s_abandoned)
            {
                TryDelete(left.FullName); // of a process that ended while it wrote
            }
        }

        FileInfo[] entries = [.. folder.GetFiles($"*{Extension}").Where(f => f.Exists).OrderByDescending(f => f.LastWriteTimeUtc)];
        long kept = 0;
        foreach (FileInfo entry in entries)
        {
            kept += entry.Length;
            if (kept > _maxBytes)
            {
                TryDelete(entry.FullName);
            }
        }
    }

    private static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // In use by another process: the next one that stores something takes it.
        }
    }
}
