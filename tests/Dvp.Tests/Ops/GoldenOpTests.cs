using System.Globalization;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using System.Text.Json;
using Dvp.Engine.Devices;
using Dvp.Engine.IO;
using Dvp.Engine.Tensors;
using Dvp.Tests.Oracle;
using Xunit;

namespace Dvp.Tests.Ops;

/// <summary>Every operator case of the golden files on one device.</summary>
public abstract class GoldenOpTests(DeviceUnderTest device)
{
    /// <summary>The case folders that hold tensors.</summary>
    public static TheoryData<string> Cases =>
        new(Fixtures.Cases("ops").Select(c => c["ops/".Length..]).Where(c => c != GoldenOps.PhiloxCase));

    [Theory]
    [MemberData(nameof(Cases))]
    public void Matches_the_golden_case(string name)
    {
        DeviceWay way = device.Strictest;
        using Backend backend = way.Open();
        ElementType type = backend.ActivationType;
        bool narrow = type.Size() == 2;
        using OpBench bench = new(backend) { Precision = narrow ? type : null, HasGuards = !way.JudgesAccesses };
        using GoldenCase golden = new(name, bench);
        GoldenOps.Bodies[golden.Op](golden);
        bench.Check();
        golden.Compare(narrow ? OfRoundedInputs(name, type) : null);
    }

    /// <summary>What the oracle, which matches the golden files, answers to their inputs rounded to 16 bits.</summary>
    private static TensorArchive OfRoundedInputs(string name, ElementType type)
    {
        using ReferenceBackend reference = new();
        using OpBench bench = new(reference) { Precision = type };
        using GoldenCase golden = new(name, bench);
        GoldenOps.Bodies[golden.Op](golden);
        return bench.Results;
    }
}

/// <summary>The oracle against the golden files.</summary>
public sealed class ReferenceGoldenOpTests() : GoldenOpTests(new ReferenceUnderTest())
{
    [Fact]
    public void Every_folder_has_a_body_and_every_body_a_folder()
    {
        SortedSet<string> found = new(StringComparer.Ordinal);
        foreach (string name in Fixtures.Cases("ops"))
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(Fixtures.Path(name), "case.json")));
            if (document.RootElement.TryGetProperty("op", out JsonElement op))
            {
                found.Add(op.GetString()!);
            }
            else
            {
                Assert.Equal($"ops/{GoldenOps.PhiloxCase}", name);
            }
        }

        Assert.Equal(GoldenOps.Bodies.Keys.Order(StringComparer.Ordinal), found);
        string[] folders = [.. Directory.GetDirectories(Fixtures.Path("ops")).Select(f => $"ops/{Path.GetFileName(f)}")];
        Assert.Equal(folders.Order(StringComparer.Ordinal), Fixtures.Cases("ops"));
    }

    [Fact]
    public void The_oracles_own_Philox_matches_the_vectors()
    {
        string path = Path.Combine(Fixtures.Path($"ops/{GoldenOps.PhiloxCase}"), "case.json");
        using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(path));
        int compared = 0;
        foreach (JsonElement vector in document.RootElement.GetProperty("vectors").EnumerateArray())
        {
            Assert.Equal(Words(vector, "output"), Philox.Words(Words(vector, "counter"), Words(vector, "key")));
            compared++;
        }

        Assert.True(compared > 3, $"Only {compared} vectors were found.");
    }

    private static uint[] Words(JsonElement vector, string name) =>
        [.. vector.GetProperty(name).EnumerateArray()
            .Select(w => uint.Parse(w.GetString()!, NumberStyles.HexNumber, CultureInfo.InvariantCulture))];
}

/// <summary>The processor against the golden files.</summary>
public sealed class CpuGoldenOpTests() : GoldenOpTests(new CpuUnderTest())
{
    /// <summary>Where <see cref="CpuInstructionSetTests"/> takes instructions away, they are really gone.</summary>
    [Fact]
    public void The_runtime_heeds_its_settings()
    {
        bool noVectors = Environment.GetEnvironmentVariable(CpuInstructionSetTests.VectorSetting) == "0";
        Assert.False(noVectors && (Avx2.IsSupported || Vector256.IsHardwareAccelerated));
        Assert.False(Environment.GetEnvironmentVariable(CpuInstructionSetTests.Avx2Setting) == "0" && Avx2.IsSupported);
    }
}
