using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Globalization;
using Dvp.Cuda;

namespace Dvp.Engine.Devices.Cuda;

/// <summary>Where the loaded kernels came from.</summary>
/// <param name="Bundle">Files from the folder of kernels compiled beforehand.</param>
/// <param name="Cache">Files from the cache on disk.</param>
/// <param name="Compiled">Files compiled by this process.</param>
/// <param name="Portable">Of all of them, those loaded as PTX, which the driver compiles itself.</param>
/// <param name="CompilerLoaded">Whether NVRTC was loaded.</param>
public readonly record struct KernelOrigins(int Bundle, int Cache, int Compiled, int Portable, bool CompilerLoaded);

/// <summary>
/// The kernels of one device: looks variants up, loads them from the bundle or the cache, or compiles them, and keeps them.
/// </summary>
internal sealed class KernelLibrary : IDisposable
{
    private readonly Dictionary<(string Entry, KernelVariant Variant), CudaKernel> _kernels = [];
    private readonly Dictionary<KernelVariant, CudaModule> _files = [];
    private readonly Dictionary<KernelVariant, FrozenDictionary<string, KernelSignature>> _signatures = [];
    private readonly FrozenSet<KernelVariant> _catalog = KernelCatalog.All.ToFrozenSet();
    private readonly CudaContext _context;
    private readonly ILaunchQueue _queue;
    private readonly KernelBundle? _bundle;
    private readonly CubinCache? _cache;
    private readonly CompilerChoice _compiler;
    private readonly Action<string>? _note;
    private readonly int[] _counts = new int[3]; // by Origin
    private int _portable;

    /// <summary>Makes an empty library.</summary>
    /// <param name="context">The device.</param>
    /// <param name="queue">Where launches go.</param>
    /// <param name="options">Bundle, cache and compiler.</param>
    public KernelLibrary(CudaContext context, ILaunchQueue queue, CudaOptions options)
    {
        _context = context;
        _queue = queue;
        _note = options.Note;
        _bundle = options.KernelsFolder is null ? null : new KernelBundle(options.KernelsFolder, options.Note);
        _cache = options.CacheFolder is null ? null : new CubinCache(options.CacheFolder, options.CacheBytes, options.Note);
        _compiler = new CompilerChoice(new NvrtcSearch(options.Nvrtc, options.NvrtcFolders, context.Driver.Version), options.CacheFolder);
    }

    private enum Origin
    {
        Bundle,
        Cache,
        Compiled,
    }

    /// <summary>Where the kernels came from so far.</summary>
    public KernelOrigins Origins => new(
        _counts[(int)Origin.Bundle], _counts[(int)Origin.Cache], _counts[(int)Origin.Compiled], _portable, _compiler.IsLoaded);

    /// <summary>Entry points that were launched so far, or recorded to be.</summary>
    public IReadOnlySet<string> LaunchedEntries => _kernels.Where(k => k.Value.LatestLaunch.Threads > 0).Select(k => k.Key.Entry).ToHashSet(StringComparer.Ordinal);

    /// <summary>The kernels that were asked for so far.</summary>
    public IEnumerable<(KernelVariant Variant, CudaKernel Kernel)> UsedKernels => _kernels.Select(k => (k.Key.Variant, k.Value));

    /// <summary>The entry point of a variant; its file is loaded, or compiled, on first use.</summary>
    /// <exception cref="InvalidOperationException">The catalog or the file does not have it.</exception>
    /// <exception cref="DvpException">It cannot be compiled or loaded.</exception>
    public CudaKernel Get(string entry, KernelVariant variant)
    {
        if (!_kernels.TryGetValue((entry, variant), out CudaKernel? kernel))
        {
            if (!_files.ContainsKey(variant))
            {
                Warm([variant]);
            }

            kernel = MakeKernel(entry, variant);
            _kernels.Add((entry, variant), kernel);
        }

        return kernel;
    }

    /// <summary>As <see cref="Get"/>, but a file that is not loaded is only noted, and launches of its entry points do nothing.</summary>
    /// <param name="entry">The entry point.</param>
    /// <param name="variant">The variant.</param>
    /// <param name="missing">Gets the variant where it is not loaded.</param>
    /// <exception cref="InvalidOperationException">The catalog or the file does not have it.</exception>
    public CudaKernel Plan(string entry, KernelVariant variant, HashSet<KernelVariant> missing)
    {
        if (_files.ContainsKey(variant))
        {
            return Get(entry, variant);
        }

        missing.Add(Listed(variant));
        return CudaKernel.NotLoaded(Signature(entry, variant));
    }

    /// <summary>Loads variants before they are needed; those that must be compiled are compiled in parallel.</summary>
    /// <exception cref="DvpException">One cannot be compiled or loaded.</exception>
    public void Warm(IEnumerable<KernelVariant> variants)
    {
        // The longest texts first: a long compilation that begins last is waited for alone.
        KernelVariant[] missing = [.. variants.Distinct().Where(v => !_files.ContainsKey(v)).Select(Listed)
            .OrderByDescending(v => KernelSources.Text($"{v.File}.cu").Length)];
        FoundImage[] images = new FoundImage[missing.Length];
        if (missing.Length == 1)
        {
            images[0] = Find(missing[0]);
        }
        else
        {
            try
            {
                // One at a time to whoever is free: shares cut beforehand would be as unequal as the texts.
                Parallel.ForEach(Partitioner.Create(Enumerable.Range(0, missing.Length), EnumerablePartitionerOptions.NoBuffering), i => images[i] = Find(missing[i]));
            }
            catch (AggregateException e)
            {
                throw e.InnerExceptions[0];
            }
        }

        for (int i = 0; i < missing.Length; i++)
        {
            _files.Add(missing[i], Load(missing[i], images[i]));
        }
    }

    /// <summary>Unloads everything.</summary>
    public void Dispose()
    {
        foreach (CudaModule module in _files.Values)
        {
            module.Dispose();
        }

        _files.Clear();
        _kernels.Clear();
    }

    private FoundImage Find(KernelVariant variant)
    {
        try
        {
            return _bundle?.Find(variant, _context.Info.Major, _context.Info.Minor) is { } built ? new FoundImage(built, Origin.Bundle)
                : _cache?.Find(variant, _context.Info.Architecture, _compiler.Identity) is { } kept ? new FoundImage(kept, Origin.Cache)
                : Compile(variant);
        }
        catch (CudaException e)
        {
            throw CudaFailure.Wrap(e);
        }
    }

    private FoundImage Compile(KernelVariant variant)
    {
        Nvrtc nvrtc = _compiler.Load();
        string target = Target(nvrtc);
        string identity = _compiler.Identity;
        if (target != _context.Info.Architecture && _cache?.Find(variant, target, identity) is { } kept)
        {
            return new FoundImage(kept, Origin.Cache);
        }

        byte[] code = KernelCompiler.Compile(nvrtc, variant, target).Code;
        KernelImage image = new(KernelCompiler.FileName(variant), target, identity, KernelCompiler.Key(variant, target), code);
        _cache?.Store(variant, image);
        return new FoundImage(image, Origin.Compiled);
    }

    // A GPU newer than the compiler gets PTX of the newest architecture that both know.
    private string Target(Nvrtc nvrtc)
    {
        int capability = (_context.Info.Major * 10) + _context.Info.Minor;
        if (nvrtc.Capabilities.Contains(capability))
        {
            return _context.Info.Architecture;
        }

        int known = nvrtc.Capabilities.Where(c => c < capability).DefaultIfEmpty(0).Max();
        return known >= 80 ? string.Create(CultureInfo.InvariantCulture, $"compute_{known}")
            : throw new DvpException(
                $"{_context.Info.Name} has compute capability {_context.Info.Major}.{_context.Info.Minor}, which NVRTC {nvrtc.Version} does not "
                + "compile for; kernels need 8.0 or newer.", exitCode: DvpExitCode.NoDevice);
    }

    private CudaModule Load(KernelVariant variant, FoundImage found)
    {
        CudaModule module;
        try
        {
            module = _context.LoadModule(found.Image.Code);
        }
        catch (CudaException e)
        {
            (found, module) = LoadAnew(variant, found, e);
        }

        _counts[(int)found.Origin]++;
        KernelImage image = found.Image;
        if (image.Target.StartsWith("compute_", StringComparison.Ordinal))
        {
            if (_portable++ == 0)
            {
                _note?.Invoke($"{_context.Info.Name} is newer than the compiled kernels: the driver compiles them from PTX of {image.Target}.");
            }
        }

        return module;
    }

    private KernelVariant Listed(KernelVariant variant) => _catalog.Contains(variant)
        ? variant
        : throw new InvalidOperationException($"The kernel catalog does not list {KernelCompiler.FileName(variant)}.");

    private KernelSignature Signature(string entry, KernelVariant variant)
    {
        if (!_signatures.TryGetValue(variant, out FrozenDictionary<string, KernelSignature>? all))
        {
            all = KernelSignature.Read(variant.File, KernelSources.Text($"{variant.File}.cu"), KernelCompiler.Types(variant));
            _signatures.Add(variant, all);
        }

        return all.TryGetValue(entry, out KernelSignature? signature)
            ? signature
            : throw new InvalidOperationException($"{variant.File}.cu has no entry point {entry}.");
    }

    // Code that was read may be whole and still of no use, made for another machine that shares the folder: once from the text, then. Where that
    // cannot be done either, the driver's refusal is the error to show.
    private (FoundImage Found, CudaModule Module) LoadAnew(KernelVariant variant, FoundImage refused, CudaException reason)
    {
        const int OutOfMemory = 2;
        if (refused.Origin == Origin.Compiled || _context.FirstError is not null || reason.Code == OutOfMemory)
        {
            throw CudaFailure.Wrap(reason);
        }

        if (refused.Origin == Origin.Cache)
        {
            _cache!.Discard(variant, refused.Image.Target, refused.Image.Compiler, reason.ErrorName);
        }
        else
        {
            _note?.Invoke($"The driver refuses {refused.Image.Variant} of the folder of compiled kernels ({reason.ErrorName}): it is compiled here; build the folder again.");
        }

        try
        {
            FoundImage compiled = Compile(variant);
            return (compiled, _context.LoadModule(compiled.Image.Code));
        }
        catch (Exception e) when (e is CudaException or DvpException)
        {
            throw CudaFailure.Wrap(_context.FirstError ?? reason);
        }
    }

    private CudaKernel MakeKernel(string entry, KernelVariant variant)
    {
        KernelSignature signature = Signature(entry, variant);
        try
        {
            CudaFunction function = _files[variant].Function(entry);
            signature.CheckSizes(function.ParameterBytes);
            return new CudaKernel(_queue, signature, function, function.AllowAllSharedMemory());
        }
        catch (CudaException e)
        {
            throw CudaFailure.Wrap(e);
        }
    }

    private readonly record struct FoundImage(KernelImage Image, Origin Origin);

}
