using System.Collections.Concurrent;
using System.Globalization;
using Dvp.Cuda;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

/// <summary>One variant of a kernel file and its entry points.</summary>
/// <param name="File">The .cu file, without extension.</param>
/// <param name="Real">Storage type: f32, bf16, f16.</param>
/// <param name="Options">Further definitions, as <c>stream=f32 head_size=64</c>; empty for none.</param>
/// <param name="Entries">The entry points, by name.</param>
public sealed record KernelListing(string File, string Real, string Options, IReadOnlyList<string> Entries);

/// <summary>One entry point compiled for one architecture.</summary>
/// <param name="Entry">The entry point.</param>
/// <param name="File">The .cu file, without extension.</param>
/// <param name="Real">Storage type.</param>
/// <param name="Options">Further definitions.</param>
/// <param name="Architecture">What it was compiled for: sm_90a.</param>
/// <param name="Registers">Registers of a thread.</param>
/// <param name="SharedBytes">Static shared memory of a block.</param>
/// <param name="StackBytes">Local memory of a thread.</param>
/// <param name="SpillStoreBytes">Bytes that a thread stores because registers ran out.</param>
/// <param name="SpillLoadBytes">Bytes that it loads again.</param>
/// <param name="Threads">Threads of the block that <paramref name="Occupancy"/> is for: the usual launch, the declared bound, or 256.</param>
/// <param name="DynamicSharedBytes">Shared memory that the usual launch adds.</param>
/// <param name="Occupancy">Theoretical occupancy, in [0, 1]; null for an architecture that is not among <see cref="KernelTools.Architectures"/>.</param>
public sealed record KernelFigures(
    string Entry,
    string File,
    string Real,
    string Options,
    string Architecture,
    int Registers,
    int SharedBytes,
    int StackBytes,
    int SpillStoreBytes,
    int SpillLoadBytes,
    int Threads,
    int DynamicSharedBytes,
    double? Occupancy);

/// <summary>What was built.</summary>
/// <param name="Compiler">Version of NVRTC.</param>
/// <param name="Files">Files written.</param>
/// <param name="Bytes">Their size.</param>
public sealed record KernelBuild(string Compiler, int Files, long Bytes);

/// <summary>The kernels as objects to look at: lists them, compiles them without a device, reports what they need.</summary>
public static class KernelTools
{
    /// <summary>The architectures that the compile gate compiles for.</summary>
    public static IReadOnlyList<string> Architectures { get; } = [.. GpuArchitecture.All.Select(a => a.Name)];

    /// <summary>The target of portable code: PTX for it runs on every GPU from Ampere on.</summary>
    public static string PortableTarget => KernelCompiler.PortableTarget;

    /// <summary>Every variant, in the order of the catalog.</summary>
    public static IReadOnlyList<KernelListing> List() => [.. KernelCatalog.All.Select(Listing)];

    /// <summary>Compiles every variant into a folder that a device reads before it compiles anything; what the cache has is taken from there.</summary>
    /// <param name="options">Where NVRTC is, and the cache.</param>
    /// <param name="targets">Architectures (sm_80), and compute_80 for PTX.</param>
    /// <param name="folder">The folder; made where it is missing.</param>
    /// <param name="progress">Called with the number of compilations done and all; from many threads, one at a time. Or null.</param>
    /// <param name="types">Storage types (f32, bf16, f16) of the runs that it is for; null for all. A run needs its own type and f32.</param>
    /// <exception cref="DvpException">NVRTC is missing or does not know a target, or a file cannot be written.</exception>
    public static KernelBuild Build(
        CudaOptions options, IReadOnlyList<string> targets, string folder, Action<int, int>? progress = null, IReadOnlyList<string>? types = null)
    {
        Nvrtc nvrtc = Open(options, targets);
        string identity = CompilerChoice.IdentityOf(nvrtc.File, nvrtc.Version.ToString());
        CubinCache? cache = options.CacheFolder is { } path ? new CubinCache(path, options.CacheBytes, options.Note) : null;
        KernelVariant[] variants = [.. KernelCatalog.All.Where(
            v => types is null || v.Real == ElementType.F32 || types.Contains(KernelCompiler.TypeName(v.Real)))];
        long bytes = 0;
        int files = 0;
        try
        {
            Directory.CreateDirectory(folder);
            ForEach(variants, targets, progress, (variant, target) =>
            {
                KernelImage image = cache?.Find(variant, target, identity) ?? Compile(nvrtc, variant, target, identity);
                KernelBundle.Write(folder, variant, image);
                Interlocked.Add(ref bytes, image.Code.Length);
                Interlocked.Increment(ref files);
            });
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new DvpException($"{folder} cannot be written: {e.Message}; give --out another folder.", e);
        }

        return new KernelBuild(nvrtc.Version.ToString(), files, bytes);
    }

    /// <summary>Compiles and reports what entry points need of a multiprocessor.</summary>
    /// <param name="options">Where NVRTC is.</param>
    /// <param name="architectures">What for.</param>
    /// <param name="entry">Only this entry point; null for all.</param>
    /// <param name="progress">As in <see cref="Build"/>.</param>
    /// <exception cref="DvpException">NVRTC is missing or does not know an architecture, or no kernel has that name.</exception>
    public static IReadOnlyList<KernelFigures> Measure(
        CudaOptions options, IReadOnlyList<string> architectures, string? entry = null, Action<int, int>? progress = null) =>
        [.. Compile(Open(options, architectures), architectures, entry, MeasuredFolder(options), progress).Select(Figures)];

    /// <summary>The table kernels/RESOURCES.md, compiled anew.</summary>
    /// <param name="options">Where NVRTC is.</param>
    /// <param name="progress">As in <see cref="Build"/>.</param>
    /// <exception cref="DvpException">NVRTC is missing or does not know one of the architectures.</exception>
    public static string ResourceTable(CudaOptions options, Action<int, int>? progress = null)
    {
        Nvrtc nvrtc = Open(options, Architectures);
        return KernelResourceTable.ToMarkdown(Compile(nvrtc, Architectures, null, MeasuredFolder(options), progress), nvrtc.Version.ToString());
    }

    /// <summary>Machine code of the first variant that has an entry point, a storage type and definitions.</summary>
    /// <param name="options">Where NVRTC is.</param>
    /// <param name="architecture">What for.</param>
    /// <param name="entry">The entry point.</param>
    /// <param name="real">Storage type: f32, bf16, f16; null for bf16, where the kernel has it.</param>
    /// <param name="definitions">Some or all of the variant's definitions, as <c>tile_m=128</c>; null for any.</param>
    /// <returns>The variant, and its code.</returns>
    /// <exception cref="DvpException">NVRTC is missing or does not know the architecture, or no kernel has that name.</exception>
    public static (KernelListing Variant, byte[] Code) MachineCode(
        CudaOptions options, string architecture, string entry, string? real = null, string? definitions = null)
    {
        KernelVariant[] fitting = [.. With(entry).Where(v => Has(v.Options, definitions) && (real is null || KernelCompiler.TypeName(v.Real) == real))];
        if (fitting.Length == 0)
        {
            throw new DvpException($"{entry} is not compiled for {string.Join(' ', new[] { real, definitions }.OfType<string>())}; dvp kernels list shows what is.");
        }

        KernelVariant variant = fitting.OrderBy(v => v.Real == ElementType.BF16 ? 0 : 1).First();
        return (Listing(variant), KernelCompiler.Compile(Open(options, [architecture]), variant, architecture).Code);
    }

    /// <summary>Whether a variant's definitions hold those asked for.</summary>
    /// <param name="all">The variant's: <c>tile_m=128 tile_n=64</c>.</param>
    /// <param name="some">Those asked for; null for none.</param>
    public static bool Has(string all, string? some) => !(some ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries).Except(all.Split(' ')).Any();

    /// <summary>Compiles for every architecture with the assembler's report; what the folder has is read from there.</summary>
    internal static IReadOnlyList<CompiledEntry> Compile(
        Nvrtc nvrtc, IReadOnlyList<string> architectures, string? entry, string? folder, Action<int, int>? progress)
    {
        IReadOnlyList<KernelVariant> variants = entry is null ? KernelCatalog.All : With(entry);
        MeasuredKernels known = new(folder, nvrtc);
        ConcurrentBag<CompiledEntry> found = [];
        ForEach(variants, architectures, progress, (variant, architecture) =>
        {
            foreach (CompiledEntry one in known.Get(variant, architecture))
            {
                if (entry is null || one.Resources.Entry == entry)
                {
                    found.Add(one);
                }
            }
        });
        return [.. found
            .OrderBy(e => e.Variant.File, StringComparer.Ordinal).ThenBy(e => e.Resources.Entry, StringComparer.Ordinal)
            .ThenBy(e => e.Variant.Options, StringComparer.Ordinal).ThenBy(e => e.Variant.Real)
            .ThenBy(e => architectures.ToList().IndexOf(e.Architecture))];
    }

    /// <summary>Loads NVRTC, of any version that knows all targets.</summary>
    internal static Nvrtc Open(CudaOptions options, IReadOnlyList<string> targets)
    {
        Nvrtc nvrtc;
        try
        {
            nvrtc = Nvrtc.Open(new NvrtcSearch(options.Nvrtc, options.NvrtcFolders, Driver: null));
        }
        catch (CudaException e)
        {
            throw CudaFailure.Wrap(e);
        }

        foreach (string target in targets)
        {
            string number = target.Replace("sm_", "", StringComparison.Ordinal).Replace("compute_", "", StringComparison.Ordinal).TrimEnd('a', 'f');
            if (!int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out int capability) || !nvrtc.Capabilities.Contains(capability))
            {
                throw new DvpException(
                    $"NVRTC {nvrtc.Version} does not compile for {target}; it knows {string.Join(", ", nvrtc.Capabilities.Select(c => $"sm_{c}"))}.");
            }
        }

        return nvrtc;
    }

    /// <summary>Where measured compilations are kept: beside the kernels that devices keep.</summary>
    internal static string? MeasuredFolder(CudaOptions options) => options.CacheFolder is { } cache ? Path.Combine(cache, "measured") : null;

    private static KernelImage Compile(Nvrtc nvrtc, KernelVariant variant, string target, string compiler) => new(
        KernelCompiler.FileName(variant), target, compiler, KernelCompiler.Key(variant, target), KernelCompiler.Compile(nvrtc, variant, target).Code);

    private static KernelListing Listing(KernelVariant v) => new(
        v.File, KernelCompiler.TypeName(v.Real), v.Options, [.. Entries(v).Order(StringComparer.Ordinal)]);

    private static IEnumerable<string> Entries(KernelVariant variant) =>
        KernelSignature.Read(variant.File, KernelSources.Text($"{variant.File}.cu"), KernelCompiler.Types(variant)).Keys;

    private static IReadOnlyList<KernelVariant> With(string entry)
    {
        KernelVariant[] variants = [.. KernelCatalog.All.Where(v => Entries(v).Contains(entry))];
        return variants.Length > 0 ? variants : throw new DvpException($"No kernel is called {entry}; dvp kernels list shows all.");
    }

    private static KernelFigures Figures(CompiledEntry e)
    {
        (int threads, int dynamic, _) = KernelResourceTable.Shape(e);
        KernelResources r = e.Resources;
        GpuArchitecture? architecture = GpuArchitecture.All.FirstOrDefault(a => a.Name == e.Architecture);
        return new KernelFigures(
            r.Entry, e.Variant.File, KernelCompiler.TypeName(e.Variant.Real), e.Variant.Options, e.Architecture, r.Registers, r.SharedBytes, r.StackBytes,
            r.SpillStoreBytes, r.SpillLoadBytes, threads, dynamic, architecture?.Occupancy(r.Registers, r.SharedBytes + dynamic, threads));
    }

    private static void ForEach(
        IReadOnlyList<KernelVariant> variants, IReadOnlyList<string> targets, Action<int, int>? progress, Action<KernelVariant, string> compile)
    {
        (KernelVariant Variant, string Target)[] work = [.. from v in variants from t in targets select (v, t)];
        int done = 0;
        Lock reporting = new();
        try
        {
            Parallel.ForEach(work, new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount }, one =>
            {
                compile(one.Variant, one.Target);
                lock (reporting)
                {
                    progress?.Invoke(++done, work.Length);
                }
            });
        }
        catch (AggregateException e)
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(e.InnerExceptions[0]); // the first error is the one to show
        }
    }
}
