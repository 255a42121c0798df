using Dvp.Engine.Devices.Cuda;
using Dvp.Engine.Tensors;
using Dvp.Tests.Training;
using Xunit;

namespace Dvp.Tests.Cuda;

public sealed class CubinCacheTests : IDisposable
{
    private const string Compiler = "NVRTC 13.0 1 2";
    private static readonly KernelVariant s_variant = new("layernorm", ElementType.BF16);
    private readonly string _folder = Directory.CreateTempSubdirectory("dvp-cache-").FullName;
    private readonly List<string> _notes = [];

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void What_is_stored_is_found_by_another_process()
    {
        byte[] code = Code(1, 5000);
        Cache().Store(s_variant, Image(s_variant, code));
        KernelImage? found = Cache().Find(s_variant, "sm_80", Compiler);
        Assert.NotNull(found);
        Assert.Equal(code, found.Code);
        Assert.Equal("layernorm.bf16", found.Variant);
        Assert.Single(Directory.GetFiles(_folder)); // no temporary file is left
        Assert.Empty(_notes);
    }

    [Theory]
    [InlineData("sm_90a", Compiler)]
    [InlineData("sm_80", "NVRTC 13.1 1 2")]
    [InlineData("sm_80", "NVRTC 13.0 1 3")] // another build of the same version
    public void Another_target_or_compiler_is_another_entry(string target, string compiler)
    {
        Cache().Store(s_variant, Image(s_variant, Code(1, 100)));
        Assert.Null(Cache().Find(s_variant, target, compiler));
        Assert.Null(Cache().Find(s_variant with { Real = ElementType.F16 }, "sm_80", Compiler));
        Assert.NotNull(Cache().Find(s_variant, "sm_80", Compiler));
        Assert.Empty(_notes);
    }

    [Fact]
    public void The_key_covers_every_option_the_target_and_the_texts()
    {
        string[] keys =
        [
            KernelCompiler.Key(s_variant, "sm_80"),
            KernelCompiler.Key(s_variant, "sm_89"),
            KernelCompiler.Key(s_variant with { Real = ElementType.F32 }, "sm_80"),
            KernelCompiler.Key(s_variant with { Options = "stream=f32" }, "sm_80"),
            KernelCompiler.Key(s_variant with { Options = "stream=f16" }, "sm_80"),
        ];
        Assert.Equal(keys.Length, keys.Distinct().Count());
        Assert.Equal(keys[0], KernelCompiler.Key(new KernelVariant("layernorm", ElementType.BF16, ""), "sm_80"));
        Assert.NotEqual(KernelCompiler.Hash(["ab", "c"]), KernelCompiler.Hash(["a", "bc"]));
    }

    [Theory]
    [InlineData("cut")]
    [InlineData("empty")]
    [InlineData("bit")]
    [InlineData("header")]
    [InlineData("longer")]
    [InlineData("other")]
    public void A_damaged_entry_is_taken_away_with_a_note(string damage)
    {
        Cache().Store(s_variant, Image(s_variant, Code(1, 1000)));
        string path = Directory.GetFiles(_folder).Single();
        byte[] bytes = File.ReadAllBytes(path);
        byte[] other = Image(s_variant with { Real = ElementType.F16 }, Code(2, 1000)).ToBytes();
        bytes[damage == "header" ? 3 : ^7] ^= (byte)(damage is "bit" or "header" ? 4 : 0);
        File.WriteAllBytes(path, damage switch
        {
            "cut" => bytes[..^1],
            "empty" => [],
            "longer" => [.. bytes, 0],
            "other" => other,
            _ => bytes,
        });

        Assert.Null(Cache().Find(s_variant, "sm_80", Compiler));
        Assert.Contains(path, Assert.Single(_notes), StringComparison.Ordinal);
        Assert.False(File.Exists(path));
        Cache().Store(s_variant, Image(s_variant, Code(3, 1000)));
        Assert.Equal(Code(3, 1000), Cache().Find(s_variant, "sm_80", Compiler)!.Code);
    }

    [Fact]
    public void The_entries_unused_for_longest_go_first()
    {
        KernelVariant[] variants = [.. Enumerable.Range(0, 4).Select(i => s_variant with { Options = $"head_size={i}" })];
        CubinCache cache = Cache(maxBytes: 3600); // three entries of about 1,200 bytes
        for (int i = 0; i < 3; i++)
        {
            cache.Store(variants[i], Image(variants[i], Code(i, 900)));
        }

        foreach (string file in Directory.GetFiles(_folder))
        {
            File.SetLastWriteTimeUtc(file, DateTime.UtcNow.AddDays(-1));
        }

        Assert.NotNull(cache.Find(variants[0], "sm_80", Compiler)); // used now: the oldest no more
        Assert.NotNull(cache.Find(variants[2], "sm_80", Compiler));
        cache.Store(variants[3], Image(variants[3], Code(3, 900)));
        Assert.Null(cache.Find(variants[1], "sm_80", Compiler));
        Assert.All([0, 2, 3], i => Assert.NotNull(cache.Find(variants[i], "sm_80", Compiler)));
        Assert.True(Directory.GetFiles(_folder).Sum(f => new FileInfo(f).Length) <= 3600);
    }

    [Fact]
    public void What_a_process_left_half_written_goes_after_an_hour()
    {
        Cache().Store(s_variant, Image(s_variant, Code(1, 10)));
        string entry = Directory.GetFiles(_folder).Single();
        string old = $"{entry}.0123.tmp", young = $"{entry}.4567.tmp";
        File.WriteAllText(old, "half");
        File.WriteAllText(young, "half");
        File.SetLastWriteTimeUtc(old, DateTime.UtcNow.AddHours(-2));
        Cache().Store(s_variant, Image(s_variant, Code(1, 10)));
        Assert.False(File.Exists(old));
        Assert.True(File.Exists(young));
    }

    [Fact]
    public void Many_writers_and_readers_of_one_entry_see_it_whole_or_not_at_all()
    {
        byte[][] codes = [.. Enumerable.Range(0, 4).Select(i => Code(i, 20_000 + i))];
        Parallel.For(0, 200, i =>
        {
            CubinCache cache = new(_folder, 1 << 20, Note);
            if (i % 2 == 0)
            {
                cache.Store(s_variant, Image(s_variant, codes[i / 2 % 4]));
            }
            else if (cache.Find(s_variant, "sm_80", Compiler) is { } image)
            {
                Assert.Contains(codes, c => c.AsSpan().SequenceEqual(image.Code));
            }
        });
        Assert.Empty(_notes);
        Assert.Single(Directory.GetFiles(_folder));
    }

    [Fact]
    public void Processes_that_fill_read_and_empty_one_folder_at_once_do_not_disturb_each_other()
    {
        ChildProcess[] processes = [.. Enumerable.Range(0, 4).Select(_ => new ChildProcess("cubin-cache", _folder))];
        string[] results = [.. processes.Select(p => p.Finish())];
        Assert.All(results, r => Assert.Contains("done without a note", r, StringComparison.Ordinal));
        Array.ForEach(processes, p => p.Dispose());
        Assert.Empty(Directory.GetFiles(_folder, "*.tmp"));
        Assert.InRange(Directory.GetFiles(_folder).Sum(f => new FileInfo(f).Length), 1, 4 * 30_000);
    }

    /// <summary>The part that runs in several processes: more entries than the folder may hold, so that each process takes away what others read.</summary>
    internal static void FillReadAndEmpty(string folder)
    {
        List<string> notes = [];
        CubinCache cache = new(folder, 30_000, notes.Add);
        Random random = new(Environment.ProcessId);
        int found = 0;
        for (int i = 0; i < 400; i++)
        {
            int which = random.Next(6);
            KernelVariant variant = s_variant with { Options = $"head_size={which}" };
            if (random.Next(2) == 0)
            {
                cache.Store(variant, Image(variant, Code(which, 8_000 + which)));
            }
            else if (cache.Find(variant, "sm_80", Compiler) is { } image)
            {
                found++;
                Assert.Equal(Code(which, 8_000 + which), image.Code);
            }
        }

        Console.WriteLine(notes.Count == 0 ? $"done without a note, found {found}" : string.Join('\n', notes));
    }

    [Fact]
    public void A_folder_that_cannot_be_made_costs_a_note_only()
    {
        string file = Path.Combine(_folder, "file");
        File.WriteAllText(file, "");
        CubinCache cache = new(Path.Combine(file, "kernels"), 1 << 20, Note);
        Assert.Null(cache.Find(s_variant, "sm_80", Compiler));
        cache.Store(s_variant, Image(s_variant, Code(1, 10)));
        Assert.Contains("cannot be written", _notes[^1], StringComparison.Ordinal);
    }

    [Fact]
    public void A_bundle_gives_the_best_that_the_device_runs()
    {
        foreach (string target in (string[])["sm_80", "sm_86", "sm_90a", "compute_80"])
        {
            KernelBundle.Write(_folder, s_variant, Image(s_variant, Code(target.Length, 10), target));
        }

        KernelBundle bundle = new(_folder, Note);
        Assert.Equal("sm_80", bundle.Find(s_variant, 8, 0)!.Target);
        Assert.Equal("sm_86", bundle.Find(s_variant, 8, 6)!.Target);
        Assert.Equal("sm_86", bundle.Find(s_variant, 8, 9)!.Target);
        Assert.Equal("sm_90a", bundle.Find(s_variant, 9, 0)!.Target);
        Assert.Equal("compute_80", bundle.Find(s_variant, 10, 0)!.Target);
        Assert.Equal("compute_80", bundle.Find(s_variant, 12, 1)!.Target);
        Assert.Null(bundle.Find(s_variant with { Real = ElementType.F16 }, 8, 0));
        Assert.Empty(_notes);
    }

    [Fact]
    public void A_bundle_of_other_texts_is_not_used()
    {
        KernelBundle.Write(_folder, s_variant, Image(s_variant, Code(1, 10)) with { Key = "another" });
        Assert.Null(new KernelBundle(_folder, Note).Find(s_variant, 8, 0));
        Assert.Contains("build the bundle again", Assert.Single(_notes), StringComparison.Ordinal);
    }

    private CubinCache Cache(long maxBytes = 1 << 20) => new(_folder, maxBytes, Note);

    private void Note(string text)
    {
        lock (_notes)
        {
            _notes.Add(text);
        }
    }

    private static KernelImage Image(KernelVariant variant, byte[] code, string target = "sm_80") =>
        new(KernelCompiler.FileName(variant), target, Compiler, KernelCompiler.Key(variant, target), code);

    private static byte[] Code(int seed, int count)
    {
        byte[] code = new byte[count];
        new Random(seed).NextBytes(code);
        return code;
    }
}
