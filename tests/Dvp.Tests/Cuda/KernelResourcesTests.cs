using System.Buffers.Binary;
using System.Text;
using Dvp.Engine.Devices.Cuda;
using Dvp.Engine.Tensors;
using Xunit;

namespace Dvp.Tests.Cuda;

public sealed class KernelResourcesTests
{
    private const string Log = """
        x.cu(3): warning #177-D: variable "unused" was declared but never referenced
        ptxas info    : 0 bytes gmem
        ptxas info    : Compiling entry function 'plain' for 'sm_80'
        ptxas info    : Function properties for plain
        ptxas         .     400 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
        ptxas info    : Used 19 registers, used 1 barriers, 400 bytes cumulative stack size, 4224 bytes smem, 364 bytes cmem[0]
        ptxas info    : Compile time = 9.861 ms
        ptxas info    : Function properties for _Z1ff
        ptxas         .     8 bytes stack frame, 16 bytes spill stores, 16 bytes spill loads
        ptxas info    : Compiling entry function 'spilly' for 'sm_80'
        ptxas info    : Function properties for spilly
            168 bytes stack frame, 252 bytes spill stores, 256 bytes spill loads
        ptxas info    : Used 64 registers, 364 bytes cmem[0]
        """;

    [Fact]
    public void The_assemblers_log_is_read_entry_by_entry() => Assert.Equal(
        [new KernelResources("plain", 19, 4224, 400, 0, 0), new KernelResources("spilly", 64, 0, 168, 252, 256)],
        KernelResources.Parse(Log));

    [Fact]
    public void A_log_without_entries_gives_none() => Assert.Empty(KernelResources.Parse("error: identifier \"x\" is undefined"));

    // Expected values by hand from the limits: 65,536 registers in four files, 256 at a time; 1 KiB of shared memory reserved a block.
    [Theory]
    [InlineData("sm_80", 32, 0, 1024, 2, 1.0)]
    [InlineData("sm_80", 128, 0, 256, 2, 0.25)] // 16 warps of 128 registers
    [InlineData("sm_80", 255, 0, 256, 1, 0.125)] // 8 warps of 256 registers
    [InlineData("sm_80", 40, 0, 256, 6, 0.75)] // 16384 / 1280 = 12 warps a file: 48 warps, 6 blocks of 8
    [InlineData("sm_80", 33, 0, 96, 16, 0.75)] // the same 12 warps a file: 48 warps, 16 blocks of 3
    [InlineData("sm_89", 32, 0, 1024, 1, 2.0 / 3)]
    [InlineData("sm_80", 32, 81_920, 256, 2, 0.25)] // 164 KiB hold two blocks of 80 + 1
    [InlineData("sm_80", 32, 82_944, 256, 2, 0.25)] // and of 81 + 1
    [InlineData("sm_80", 32, 82_945, 256, 1, 0.125)]
    [InlineData("sm_90a", 32, 82_945, 256, 2, 0.25)]
    [InlineData("sm_90a", 16, 0, 32, 32, 0.5)] // 32 blocks are the most
    [InlineData("sm_120", 16, 0, 32, 24, 0.5)]
    [InlineData("sm_120", 32, 102_400, 32, 0, 0.0)]
    public void Occupancy_follows_from_the_limits(string name, int registers, int shared, int threads, int blocks, double occupancy)
    {
        GpuArchitecture architecture = GpuArchitecture.All.Single(a => a.Name == name);
        Assert.Equal(blocks, architecture.ResidentBlocks(registers, shared, threads));
        Assert.Equal(occupancy, architecture.Occupancy(registers, shared, threads), 12);
    }

    [Fact]
    public void Launch_bounds_are_read_from_compiled_code()
    {
        byte[] cubin = Cubin((".nv.info", []), (".nv.info.free", [3, 0x1b, 255, 0]), (".nv.info.bound", [3, 0x1b, 64, 0, 4, 0x17, 4, 0, 9, 9, 9, 9, .. Bound(32, 4, 2)]));
        Assert.Equal(new Dictionary<string, int> { ["bound"] = 256 }, CubinFile.LaunchBounds(cubin));
    }

    [Fact]
    public void Damaged_code_is_refused_wherever_it_is_cut()
    {
        byte[] cubin = Cubin((".nv.info.bound", Bound(128, 1, 1)));
        for (int length = 0; length < cubin.Length; length++)
        {
            Assert.Throws<InvalidDataException>(() => CubinFile.LaunchBounds(cubin.AsSpan(0, length)));
        }

        Assert.Throws<InvalidDataException>(() => CubinFile.LaunchBounds(Cubin((".nv.info.bound", [4, 5, 200, 0, 1, 2]))));
    }

    [Fact]
    public void The_table_has_a_row_a_variant_and_a_cell_an_architecture()
    {
        CompiledEntry[] entries =
        [
            .. GpuArchitecture.All.Select(a => new CompiledEntry(new("toy", ElementType.BF16, "tile=64"), a.Name, new("toy_forward", 64, 1024, 0, 0, 0), 128)),
            .. GpuArchitecture.All.Select(a => new CompiledEntry(new("toy", ElementType.F32), a.Name, new("toy_forward", 32, 0, 40, 12, 16), null)),
        ];
        string table = KernelResourceTable.ToMarkdown(entries, "13.0");
        Assert.Contains("| toy_forward | bf16 | tile=64 | 128 | 1024 | 64, 50 % | 64, 67 % | 64, 50 % | 64, 50 % | 64, 67 % |\n", table);
        Assert.Contains("| toy_forward | f32 |  | (256) | 0 | 32, 100 %, spills 12 + 16, stack 40 | ", table);
        Assert.Contains("| toy_forward | no reason is written |", table);
        Assert.Contains("1 entry points, 2 variants, 5 architectures.", table);
        Assert.DoesNotContain("not compiled", table);
        Assert.Contains("not compiled", KernelResourceTable.ToMarkdown(entries[1..], "13.0"));
    }

    private static byte[] Bound(int x, int y, int z)
    {
        byte[] bytes = [4, 5, 12, 0, .. new byte[12]];
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(4), x);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(8), y);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(12), z);
        return bytes;
    }

    // The smallest ELF file with these sections: header, contents, names, section headers.
    private static byte[] Cubin(params (string Name, byte[] Bytes)[] sections)
    {
        (string Name, byte[] Bytes)[] all = [("", []), .. sections, (".shstrtab", [])];
        byte[] names = Encoding.ASCII.GetBytes(string.Concat(all.Select(s => s.Name + '\0')));
        all[^1].Bytes = names;
        int headers = 64 + all.Sum(s => s.Bytes.Length), nameAt = 0, at = 64;
        byte[] elf = new byte[headers + (64 * all.Length)];
        "\u007fELF\u0002\u0001"u8.CopyTo(elf);
        BinaryPrimitives.WriteInt64LittleEndian(elf.AsSpan(40), headers);
        BinaryPrimitives.WriteInt16LittleEndian(elf.AsSpan(58), 64);
        BinaryPrimitives.WriteInt16LittleEndian(elf.AsSpan(60), (short)all.Length);
        BinaryPrimitives.WriteInt16LittleEndian(elf.AsSpan(62), (short)(all.Length - 1));
        for (int i = 0; i < all.Length; i++)
        {
            Span<byte> header = elf.AsSpan(headers + (64 * i), 64);
            BinaryPrimitives.WriteInt32LittleEndian(header, nameAt);
            BinaryPrimitives.WriteInt32LittleEndian(header[4..], 1);
            BinaryPrimitives.WriteInt64LittleEndian(header[24..], at);
            BinaryPrimitives.WriteInt64LittleEndian(header[32..], all[i].Bytes.Length);
            all[i].Bytes.CopyTo(elf, at);
            at += all[i].Bytes.Length;
            nameAt += all[i].Name.Length + 1;
        }

        return elf;
    }
}
