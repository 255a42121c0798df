using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;
using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cpu;
using Dvp.Engine.Tensors;
using Dvp.Settings;

namespace Dvp.Profiling;

/// <summary>One thing that the examination found.</summary>
/// <param name="Section">cpu, memory, disk, program, cuda, check or timing.</param>
/// <param name="Name">What.</param>
/// <param name="Value">Its value as text.</param>
/// <param name="Mend">What to do about it; null where nothing is amiss.</param>
/// <param name="Wrong">Whether the program cannot work properly because of it.</param>
public sealed record DoctorFinding(string Section, string Name, string Value, string? Mend = null, bool Wrong = false);

/// <summary>What the machine has, and whether the program works on it.</summary>
/// <param name="Findings">In order of sections.</param>
public sealed record DoctorReport(IReadOnlyList<DoctorFinding> Findings)
{
    /// <summary>Whether nothing is wrong.</summary>
    public bool Healthy => Findings.All(f => !f.Wrong);
}

/// <summary>Examines the machine: processor, memory, disk, program, CUDA, and one op whose result is checked.</summary>
public static partial class Doctor
{
    private const long LowDisk = 1L << 30;
    private const double Tolerance = 1e-5;

    /// <summary>Examines the machine.</summary>
    /// <param name="threads">Threads of the CPU device; 0 for all.</param>
    /// <param name="timing">Whether to measure the rates of products and of memory too (a second or two).</param>
    public static DoctorReport Examine(int threads = 0, bool timing = false)
    {
        List<DoctorFinding> found = [];
        Processor(found);
        Memory(found);
        Disk(found);
        Program(found);
        ExamineCuda(found, timing);
        using CpuBackend backend = new(threads);
        Check(found, backend);
        if (timing)
        {
            found.Add(new("timing", "process start to first result of the CPU", Milliseconds(SinceProcessStart())));
            Time(found, backend, threads);
        }

        return new DoctorReport(found);
    }

    private static void Processor(List<DoctorFinding> found)
    {
        found.Add(new("cpu", "model", ProcField("/proc/cpuinfo", "model name") ?? RuntimeInformation.ProcessArchitecture.ToString()));
        string[] sets = [.. InstructionSets().Where(s => s.Present).Select(s => s.Name)];
        bool vectors = Fma.IsSupported || AdvSimd.Arm64.IsSupported;
        found.Add(new(
            "cpu",
            "instruction sets",
            sets.Length == 0 ? "none that is used" : string.Join(", ", sets),
            vectors ? null : "Products run on the portable path, several times slower; use a machine with AVX2 and FMA."));
        found.Add(new("cpu", "processors", Text(Environment.ProcessorCount) + " usable by this process"));
        if (Quota() is { } quota)
        {
            found.Add(new("cpu", "container quota", string.Create(CultureInfo.InvariantCulture, $"{quota:0.##} processors")));
        }
    }

    private static IEnumerable<(string Name, bool Present)> InstructionSets() =>
    [
        ("SSE4.2", Sse42.IsSupported),
        ("AVX2", Avx2.IsSupported),
        ("FMA", Fma.IsSupported),
        ("AVX-512F", Avx512F.IsSupported),
        ("AVX-512BW", Avx512BW.IsSupported),
        ("AVX-512VL", Avx512F.VL.IsSupported),
        ("AdvSimd", AdvSimd.IsSupported),
    ];

    /// <summary>Processors' worth of time that the container may use; null where it is not limited.</summary>
    private static double? Quota()
    {
        if (Words("/sys/fs/cgroup/cpu.max") is [string quota, string period, ..])
        {
            return double.TryParse(
                quota,
                CultureInfo.InvariantCulture,
                out double q) && double.TryParse(period, CultureInfo.InvariantCulture, out double p) && p > 0
                ? q / p
                : null;
        }

        return Words(
            "/sys/fs/cgroup/cpu/cpu.cfs_quota_us") is [string old, ..] && double.TryParse(
                old, CultureInfo.InvariantCulture, out double us) && us > 0
            && Words(
                "/sys/fs/cgroup/cpu/cpu.cfs_period_us") is [string each, ..] && double.TryParse(
                    each, CultureInfo.InvariantCulture, out double length)
            ? us / length
            : null;
    }

    private static void Memory(List<DoctorFinding> found)
    {
        GCMemoryInfo info = GC.GetGCMemoryInfo();
        found.Add(new("memory", "usable by this process", Bytes(info.TotalAvailableMemoryBytes)));
        if (ProcField("/proc/meminfo", "MemAvailable") is { } text
            && long.TryParse(text.Split(' ')[0], CultureInfo.InvariantCulture, out long kibibytes))
        {
            bool low = kibibytes < 512L * 1024;
            found.Add(new(
                "memory",
                "free now",
                Bytes(kibibytes * 1024),
                low ? "Close other programs: training the sample needs about half a gigabyte." : null));
        }
    }

    private static void Disk(List<DoctorFinding> found)
    {
        foreach (
            (string what, string path) in new[] { (
                "this folder", Directory.GetCurrentDirectory()), ("temporary files", Path.GetTempPath()) })
        {
            try
            {
                long free = new DriveInfo(path).AvailableFreeSpace;
                found.Add(new(
                    "disk",
                    what,
                    $"{Bytes(free)} free ({path})",
                    free < LowDisk ? "Free some space: features and checkpoints go there." : null));
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
            {
                found.Add(new("disk", what, $"cannot be examined: {e.Message}"));
            }
        }
    }

    private static void Program(List<DoctorFinding> found)
    {
        found.Add(new("program", "system", $"{RuntimeInformation.OSDescription}, {RuntimeInformation.ProcessArchitecture}"));
        found.Add(new("program", ".NET", RuntimeInformation.FrameworkDescription));
        found.Add(new("program", "compiled", RuntimeFeature.IsDynamicCodeCompiled ? "at run time (JIT)" : "ahead of time (native)"));
        string[] set = [.. DvpEnvironment.All.Where(s => !string.IsNullOrEmpty(Environment.GetEnvironmentVariable(s.Name)))
            .Select(s => $"{s.Name}={Environment.GetEnvironmentVariable(s.Name)}")];
        found.Add(new("program", "variables", set.Length == 0 ? "none set" : string.Join(", ", set)));
    }

    /// <summary>Runs one product on the device and compares it with sums in f64.</summary>
    private static void Check(List<DoctorFinding> found, Backend backend)
    {
        const int Rows = 7, Inputs = 33, Outputs = 19;
        SeededRandom random = new(1);
        float[] x = Values(random, Rows * Inputs);
        float[] w = Values(random, Outputs * Inputs);
        float[] y = new float[Rows * Outputs];
        using DeviceBuffer left = backend.Allocate(x.Length * sizeof(float));
        using DeviceBuffer right = backend.Allocate(w.Length * sizeof(float));
        using DeviceBuffer result = backend.Allocate(y.Length * sizeof(float));
        Tensor input = new(left, 0, ElementType.F32, [Rows, Inputs]);
        Tensor output = new(result, 0, ElementType.F32, [Rows, Outputs]);
        ParameterBlock weight = new(new Tensor(right, 0, ElementType.F32, [Outputs, Inputs]), null);
        backend.Upload(input, x);
        backend.Upload(weight.Value, w);
        weight.Touch();
        backend.LinearForward(output, null, input, weight, null, Activation.None, null);
        backend.Download(y, output);
        weight.ReleaseDeviceForms();
        double worst = 0;
        for (int r = 0; r < Rows; r++)
        {
            for (int o = 0; o < Outputs; o++)
            {
                double sum = 0;
                for (int i = 0; i < Inputs; i++)
                {
                    sum += (double)x[(r * Inputs) + i] * w[(o * Inputs) + i];
                }

                worst = Math.Max(worst, Math.Abs(sum - y[(r * Outputs) + o]));
            }
        }

        bool right5 = worst <= Tolerance;
        found.Add(new(
            "check",
            backend.Name,
            string.Create(
                CultureInfo.InvariantCulture,
                $"a product of {Rows} x {Inputs} x {Outputs} is {(right5 ? "right" : "wrong")} (largest error {worst:0.0e+00})"),
            right5 ? null : "This build computes wrongly on this device: report its model.",
            Wrong: !right5));
    }

    private static float[] Values(SeededRandom random, int count)
    {
        float[] values = new float[count];
        for (int i = 0; i < count; i++)
        {
            values[i] = (float)((2 * random.NextDouble()) - 1);
        }

        return values;
    }

    private static string[] Words(string file)
    {
        try
        {
            return File.ReadAllText(file).Split((char[])[' ', '\n', '\t'], StringSplitOptions.RemoveEmptyEntries);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    private static string? ProcField(string file, string name)
    {
        try
        {
            string? line = File.Exists(file) ? File.ReadLines(file).FirstOrDefault(l => l.StartsWith(
                name, StringComparison.Ordinal)) : null;
            return line?[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static string Bytes(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1L << 30):0.0} GiB");

    private static string Text(int value) => value.ToString(CultureInfo.InvariantCulture);
}
