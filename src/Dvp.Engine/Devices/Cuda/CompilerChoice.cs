using System.Globalization;
using System.Text;
using Dvp.Cuda;

namespace Dvp.Engine.Devices.Cuda;

/// <summary>
/// The NVRTC that compiles for a driver: loaded only when something must be compiled. Which library it is, part of the key of every cached
/// kernel, is remembered on disk, so that a process that finds all its kernels in the cache never loads it.
/// </summary>
internal sealed class CompilerChoice
{
    private readonly NvrtcSearch _search;
    private readonly string? _record;
    private readonly Lock _lock = new();
    private Nvrtc? _nvrtc;
    private string? _identity;

    /// <summary>Decides nothing yet.</summary>
    /// <param name="search">Where to look and what fits.</param>
    /// <param name="folder">Folder that remembers the identity; null for none.</param>
    public CompilerChoice(NvrtcSearch search, string? folder)
    {
        _search = search;
        string request = KernelCompiler.Hash([search.Path ?? "", .. search.Folders, "", .. search.Names])[..16];
        _record = folder is null ? null : Path.Combine(folder, $"nvrtc-{request}.txt");
    }

    /// <summary>Whether the library was loaded.</summary>
    public bool IsLoaded => _nvrtc is not null;

    /// <summary>
    /// Version, size and time of the library's file: other builds of one version may make other code. Read from the record where its file
    /// is unchanged; a record whose library is gone still serves a machine that has no other.
    /// </summary>
    /// <exception cref="CudaException">No library is there, and none was.</exception>
    public string Identity
    {
        get
        {
            lock (_lock)
            {
                return _identity ??= Recall(unchangedOnly: true) ?? LoadOrRecall();
            }
        }
    }

    /// <summary>The library, loaded now if it is not yet.</summary>
    /// <exception cref="CudaException">There is none that fits.</exception>
    public Nvrtc Load()
    {
        lock (_lock)
        {
            if (_nvrtc is null)
            {
                _nvrtc = Nvrtc.Open(_search);
                _identity = IdentityOf(_nvrtc.File, _nvrtc.Version.ToString());
                Remember(_nvrtc);
            }

            return _nvrtc;
        }
    }

    private string LoadOrRecall()
    {
        try
        {
            Load();
            return _identity!;
        }
        catch (CudaException)
        {
            if (Recall(unchangedOnly: false) is { } identity)
            {
                return identity;
            }

            throw;
        }
    }

    private string? Recall(bool unchangedOnly)
    {
        if (_record is null || !File.Exists(_record) || ReadRecord(_record) is not [_, _, _] lines)
        {
            return null;
        }

        return !unchangedOnly || (File.Exists(lines[0]) && IdentityOf(lines[0], lines[1]) == lines[2]) ? lines[2] : null;
    }

    // Another process may be writing it, or it is another user's: the library is then asked, as if there were none.
    private static string[] ReadRecord(string file)
    {
        try
        {
            return File.ReadAllLines(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    private void Remember(Nvrtc nvrtc)
    {
        if (_record is null || !Path.IsPathRooted(nvrtc.File))
        {
            return;
        }

        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(_record)!);
            KernelImage.WriteWhole(_record, Encoding.UTF8.GetBytes($"{nvrtc.File}\n{nvrtc.Version}\n{_identity}\n"));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The next process loads the library once more; nothing is wrong.
        }
    }

    /// <summary>The identity of a library.</summary>
    /// <param name="file">Its file.</param>
    /// <param name="version">Its version.</param>
    public static string IdentityOf(string file, string version)
    {
        FileSystemInfo info = new FileInfo(file);
        info = info.Exists ? info.ResolveLinkTarget(returnFinalTarget: true) ?? info : info;
        return info is FileInfo { Exists: true } library
            ? string.Create(CultureInfo.InvariantCulture, $"NVRTC {version} {library.Length} {library.LastWriteTimeUtc.Ticks}")
            : $"NVRTC {version}";
    }
}
