using CsCheck;
using Dvp.Engine.IO;
using Dvp.Engine.Tensors;
using Xunit;

namespace Dvp.Tests.IO;

public sealed class TensorArchiveTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Values_of_every_kind_come_back() =>
        Gen.Select(Gen.Float.Array[0, 9], Gen.Double.Array[0, 9], Gen.Long.Array[0, 9], Gen.Byte.Array[0, 9], Gen.UShort.Array[0, 9])
            .Sample((floats, doubles, longs, bytes, brain) =>
            {
                float[] exact = [.. brain.Select(b => BitConverter.UInt32BitsToSingle((uint)b << 16)).Where(float.IsFinite)];
                TensorArchive archive = new();
                archive.Metadata["format"] = "pt";
                archive.Add("floats", floats, floats.Length);
                archive.Add("doubles", doubles, 1, doubles.Length);
                archive.Add("longs", longs, longs.Length, 1);
                archive.Add("bytes", bytes, bytes.Length);
                archive.Add("brain", ElementType.BF16, exact, exact.Length);
                string path = _folder[Guid.NewGuid().ToString("N")];
                archive.Save(path);
                TensorArchive back = TensorArchive.Load(path);
                File.Delete(path);
                Assert.Equal("pt", back.Metadata["format"]);
                Assert.Equal(floats, back.Floats("floats"));
                Assert.Equal(doubles, back.Doubles("doubles"));
                Assert.Equal(longs, back.Int64s("longs"));
                Assert.Equal(bytes, back.Bytes("bytes"));
                Assert.Equal(exact, back.Floats("brain"));
                Assert.Equal(ElementType.BF16, back.TypeOf("brain"));
                Assert.Equal([1, doubles.Length], back.ShapeOf("doubles").ToArray());
            }, iter: 100, threads: 1);

    [Fact]
    public void Every_golden_file_is_read_and_written_back_alike()
    {
        int compared = 0;
        foreach (string path in Directory.EnumerateFiles(Fixtures.Path("bert"), "*.safetensors", SearchOption.AllDirectories))
        {
            TensorArchive.Load(path).Save(_folder["copy"]);
            using SafetensorsFile original = new(path);
            using SafetensorsFile copy = new(_folder["copy"]);
            Assert.Equal(original.Metadata, copy.Metadata);
            foreach (string name in original.Names)
            {
                Assert.Equal(original[name].Type, copy[name].Type);
                Assert.Equal(original[name].Shape, copy[name].Shape);
                Assert.True(original.Bytes(name).SequenceEqual(copy.Bytes(name)), $"{path}: {name}");
                compared++;
            }
        }

        Assert.True(compared > 300, $"only {compared} tensors");
    }

    [Fact]
    public void Wrong_names_types_and_shapes_are_errors()
    {
        TensorArchive archive = new("inputs");
        archive.Add("x", [1f, 2f], 2);
        Expect.Error("inputs: there is no tensor y", () => archive.Floats("y"));
        Expect.Error("tensor x holds F32", () => archive.Int64s("x"));
        Assert.Throws<ArgumentException>(() => archive.Add("z", [1f, 2f], 3));
        Assert.Throws<ArgumentException>(() => archive.ReadDoubles("x", new double[3]));
        archive.Add("x", [7L], []);
        Assert.Equal(["x"], archive.Names);
        Assert.Equal([7L], archive.ReadInt64("x"));
    }
}
