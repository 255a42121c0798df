using System.Globalization;
using Dvp.Engine.Devices.Cpu;
using Dvp.Engine.Tensors;
using Xunit;

namespace Dvp.Tests.Ops.Cpu;

/// <summary>Memory of the CPU device: zeroed, aligned, and not kept by the process when it is freed.</summary>
public sealed class HostMemoryTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(4096)]
    [InlineData(131071)]
    [InlineData(131072)]
    [InlineData(5_000_001)]
    public void Blocks_are_zero_and_aligned(int bytes)
    {
        using CpuBackend device = new(1);
        for (int round = 0; round < 3; round++)
        {
            using DeviceBuffer block = device.Allocate(bytes);
            Assert.Equal(0, block.Address % 64);
            Tensor all = new(block, 0, ElementType.U8, [bytes]);
            byte[] values = new byte[bytes];
            device.DownloadBytes(values, all);
            Assert.Equal(-1, values.AsSpan().IndexOfAnyExcept((byte)0));
            values.AsSpan().Fill(7);
            device.UploadBytes(all, values);
        }
    }

    [Fact]
    public void A_large_block_is_never_part_of_the_heap_that_only_shrinks_at_its_end()
    {
        using CpuBackend device = new(1);
        for (int round = 0; round < 8; round++)
        {
            using DeviceBuffer large = device.Allocate(16 << 20); // freed, it would make blocks below its size come from the heap
            using DeviceBuffer block = device.Allocate(1 << 20);
            Assert.DoesNotContain(File.ReadLines("/proc/self/maps"), line => IsHeapWith(line, large.Address) || IsHeapWith(line, block.Address));
        }
    }

    private static bool IsHeapWith(string line, nint address)
    {
        string[] range = line.Split(' ')[0].Split('-');
        return line.EndsWith("[heap]", StringComparison.Ordinal)
            && address >= nint.Parse(range[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture)
            && address < nint.Parse(range[1], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
    }
}
