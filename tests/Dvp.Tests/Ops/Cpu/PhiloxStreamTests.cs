using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cpu;
using Dvp.Engine.Tensors;
using Xunit;

namespace Dvp.Tests.Ops.Cpu;

/// <summary>The vectorised dropout factors against the plain form.</summary>
public sealed unsafe class PhiloxStreamTests
{
    private const ulong Seed = 0xFFFFFFFB_075BCD15;
    private const ulong Step = 0x00000007_DEADBEEF;

    [Theory]
    [InlineData(0f)]
    [InlineData(0.1f)]
    [InlineData(0.5f)]
    [InlineData(0.999f)]
    public void Factors_are_those_of_the_plain_form(float rate)
    {
        using CpuBackend backend = new(1);
        using Arena arena = new(backend, 4096);
        Tensor state = arena.Allocate(ElementType.I32, 4);
        backend.Upload(state, unchecked([(int)Seed, (int)(Seed >> 32), (int)Step, (int)(Step >> 32)]));
        PhiloxStream stream = new(new Dropout(rate, Site: 11, state));

        // Starts in and between blocks, and where the block number passes 2^32.
        foreach (long first in (long[])[0, 1, 2, 3, 4, 63, 1021, (1L << 34) - 37])
        {
            foreach (int count in (int[])[1, 3, 31, 32, 33, 64, 97, 200])
            {
                float[] expected = new float[count];
                Philox.DropoutFactors(expected, rate, Seed, Step, 11, first);
                float[] found = new float[count];
                fixed (float* factors = found)
                {
                    stream.Factors(factors, first, count);
                }

                Assert.Equal(expected, found);
            }
        }
    }
}
