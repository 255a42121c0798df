using System.Runtime.InteropServices;
using System.Text;
using Dvp.Cuda;

namespace Dvp.Tests.Cuda;

/// <summary>A device of the kernel host in a mode of its own, for small kernels written in a test.</summary>
public sealed unsafe class KernelHostBench : IDisposable
{
    private readonly Nvrtc _nvrtc;
    private readonly List<IDisposable> _owned = [];

    /// <summary>Opens the device.</summary>
    /// <param name="mode">The host's mode.</param>
    /// <param name="copy">Names a copy of the host that no other test uses: an error stays in the device that had it.</param>
    public KernelHostBench(string mode, string copy)
    {
        string folder = KernelHost.FolderFor(mode, copy);
        Driver = CudaDriver.Open(folder);
        _nvrtc = Nvrtc.Open(new NvrtcSearch(folder, [], Driver.Version));
        Context = Driver.OpenDevice(0);
        Stream = Own(Context.CreateStream());
    }

    /// <summary>The driver.</summary>
    public CudaDriver Driver { get; }

    /// <summary>The open device.</summary>
    public CudaContext Context { get; }

    /// <summary>A stream.</summary>
    public CudaStream Stream { get; }

    /// <summary>What the host wrote about the launch that failed last.</summary>
    public string LastReport => Text("hostLastReport");

    /// <summary>The host's counters, as JSON.</summary>
    public string Counters => Text("hostCounters");

    /// <summary>Has an object disposed with the bench.</summary>
    public T Own<T>(T made)
        where T : IDisposable
    {
        _owned.Add(made);
        return made;
    }

    /// <summary>Compiles a text and gives one of its kernels.</summary>
    public CudaFunction Compile(string text, string entry, params IEnumerable<string> options)
    {
        string common = Path.Combine(Fixtures.RepositoryRoot, "kernels", "common");
        NvrtcHeader[] headers = [.. Directory.GetFiles(common, "*.cuh").Order(StringComparer.Ordinal)
            .Select(f => new NvrtcHeader("common/" + Path.GetFileName(f), File.ReadAllText(f)))];
        byte[] code = _nvrtc.Compile(text, "seeded.cu", headers, ["--gpu-architecture=sm_80", "--std=c++17", .. options]).Code;
        return Own(Context.LoadModule(code)).Function(entry);
    }

    /// <summary>Device memory with values.</summary>
    public DeviceMemory Upload(params ReadOnlySpan<float> values)
    {
        DeviceMemory memory = Own(Context.Allocate(values.Length * sizeof(float)));
        Stream.Upload(memory, values);
        return memory;
    }

    /// <summary>Device memory that nobody has written.</summary>
    public DeviceMemory Allocate(int floats) => Own(Context.Allocate(floats * sizeof(float)));

    /// <summary>The values in device memory.</summary>
    public float[] Download(DeviceMemory memory)
    {
        float[] values = new float[memory.Bytes / sizeof(float)];
        Stream.Download<float>(values, memory);
        return values;
    }

    /// <summary>Bytes that kernels have read from and written to device memory; mode check.</summary>
    public (long Read, long Written) Traffic(DeviceMemory memory)
    {
        var traffic = (delegate* unmanaged<ulong, nuint, ulong*, ulong*, int>)Export("hostTraffic");
        ulong read, written;
        int status = traffic((ulong)memory.Address, (nuint)memory.Bytes, &read, &written);
        return status == 0 ? ((long)read, (long)written) : throw new InvalidOperationException($"hostTraffic gave {status}.");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        for (int i = _owned.Count - 1; i >= 0; i--)
        {
            _owned[i].Dispose();
        }

        Context.Dispose();
    }

    private nint Export(string name) => NativeLibrary.GetExport(NativeLibrary.Load(Driver.File), name);

    private string Text(string function)
    {
        var give = (delegate* unmanaged<byte*, nuint, int>)Export(function);
        byte[] text = new byte[4096];
        fixed (byte* first = text)
        {
            int length = give(first, (nuint)text.Length);
            return Encoding.UTF8.GetString(text, 0, Math.Min(length, text.Length - 1));
        }
    }
}
