using Dvp.Engine.Devices.Cpu;
using Dvp.Engine.IO;
using Dvp.Tests.Oracle;
using Xunit;

namespace Dvp.Tests.Models;

/// <summary>T5's buckets of relative positions against the reference's table.</summary>
public sealed class RelativeBucketTests
{
    [Fact]
    public void Buckets_are_those_of_the_reference()
    {
        string folder = Fixtures.Path("t5/relative-buckets");
        long[] distances = TensorArchive.Load(Path.Combine(folder, "inputs.safetensors")).ReadInt64("relative_position");
        TensorArchive expected = TensorArchive.Load(Path.Combine(folder, "expected.safetensors"));
        Assert.Equal(8, expected.Names.Count);
        foreach (string name in expected.Names)
        {
            string[] parts = name.Split('.', '_');
            (bool bidirectional, int buckets, int far) = (parts[0] == "bidirectional", int.Parse(parts[1]), int.Parse(parts[2]));
            long[] wanted = expected.ReadInt64(name);
            for (int i = 0; i < distances.Length; i++)
            {
                int distance = (int)distances[i];
                Assert.Equal(wanted[i], CpuBackend.RelativeBucket(distance, buckets, bidirectional, far));
                Assert.Equal(wanted[i], ReferenceBackend.RelativeBucket(distance, buckets, bidirectional, far));
            }
        }
    }
}
