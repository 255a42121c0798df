using System.Runtime.InteropServices;
using CsCheck;
using Dvp.Engine;
using Dvp.Engine.IO;
using Dvp.Engine.Tensors;
using Xunit;

namespace Dvp.Tests.IO;

public sealed class SafetensorsWriterTests : IDisposable
{
    private static readonly ElementType[] s_types = Enum.GetValues<ElementType>();

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>Any set of tensors comes back with the same names, types, shapes, bytes and metadata, at aligned offsets.</summary>
    [Fact]
    public void What_is_written_is_read_back()
    {
        Gen<(ElementType Type, int[] Shape, int Seed)> tensor =
            Gen.Select(Gen.Int[0, s_types.Length - 1].Select(i => s_types[i]), Gen.Int[0, 5].Array[0, 4], Gen.Int);
        Gen.Select(Gen.Dictionary(Gen.String.Where(s => s != "__metadata__" && IsWellFormed(s)), tensor)[0, 8],
            Gen.Dictionary(Gen.String.Where(IsWellFormed), Gen.String.Where(IsWellFormed))[0, 3])
            .Sample((tensors, metadata) =>
            {
                string path = _folder[Guid.NewGuid().ToString("N")];
                Dictionary<string, byte[]> bytes = tensors.ToDictionary(t => t.Key, t => RandomBytes(t.Value));
                IEnumerable<TensorContent> contents =
                    tensors.Select(t => TensorContent.FromBytes(t.Key, t.Value.Type, t.Value.Shape, bytes[t.Key]));
                SafetensorsWriter.Write(path, contents, metadata);
                using (SafetensorsFile file = new(path))
                {
                    Assert.Equal(metadata, file.Metadata);
                    Assert.Equal(tensors.Keys.Order(StringComparer.Ordinal), file.Entries.Keys.Order(StringComparer.Ordinal));
                    foreach ((string name, (ElementType type, int[] shape, _)) in tensors)
                    {
                        Assert.Equal(type, file[name].Type);
                        Assert.Equal(shape, file[name].Shape);
                        Assert.Equal(0, file[name].Offset % type.Size());
                        Assert.True(file.Bytes(name).SequenceEqual(bytes[name]));
                    }
                }

                File.Delete(path);
            }, iter: 200, threads: 1);
    }

    [Fact]
    public void The_order_of_the_tensors_does_not_matter()
    {
        TensorContent[] tensors =
        [
            TensorContent.FromInt64("m", [2], new long[] { 1, 2 }),
            TensorContent.FromFloats("z", [1], new float[] { 3 }),
            TensorContent.FromFloats("a", [3], new float[] { 4, 5, 6 }, ElementType.BF16),
            TensorContent.FromDoubles("k", [], new double[] { 7 }),
        ];
        using MemoryStream one = new();
        using MemoryStream two = new();
        SafetensorsWriter.Write(one, tensors);
        SafetensorsWriter.Write(two, tensors.Reverse());
        Assert.Equal(one.ToArray(), two.ToArray());
        Assert.Equal(0, MemoryMarshal.Read<long>(one.ToArray()) % 8);
    }

    [Fact]
    public void A_delegate_that_writes_too_little_or_too_much_leaves_no_file()
    {
        foreach (int bytes in (int[])[3, 5])
        {
            TensorContent content = new("a", ElementType.F32, [1], s => s.Write(new byte[bytes]));
            Assert.Throws<InvalidOperationException>(() => SafetensorsWriter.Write(_folder["f"], [content]));
            Assert.Empty(_folder.FileNames);
        }
    }

    [Fact]
    public void Wrong_arguments_are_refused()
    {
        TensorContent a = TensorContent.FromFloats("a", [1], new float[] { 3 });
        Assert.Throws<ArgumentException>(() => SafetensorsWriter.Write(_folder["f"], [a, a]));
        Assert.Throws<ArgumentException>(() => TensorContent.FromFloats("a", [2], new float[] { 3 }));
        Assert.Throws<ArgumentException>(() => TensorContent.FromBytes("a", ElementType.F64, [2], new byte[15]));
        Assert.Throws<ArgumentException>(() => TensorContent.FromFloats("__metadata__", [1], new float[] { 3 }));
        Assert.Throws<ArgumentException>(() => TensorContent.FromFloats("a", [-1], new float[] { 3 }));
        Assert.Throws<OverflowException>(
            () => SafetensorsWriter.Write(_folder["f"], [TensorContent.FromInt64("a", [1], new long[] { 300 }, ElementType.U8)]));
        Assert.Empty(_folder.FileNames);
    }

    [Fact]
    public void A_full_disk_leaves_the_earlier_file()
    {
        SafetensorsWriter.Write(_folder["f"], [TensorContent.FromFloats("a", [1], new float[] { 3 })]);
        byte[] before = File.ReadAllBytes(_folder["f"]);
        TensorContent large = TensorContent.FromFloats("b", [100_000], new float[100_000]);
        DvpException e = Assert.Throws<DvpException>(
            () => AtomicFile.Write(_folder["f"], s => SafetensorsWriter.Write(s, [large]), path => new FullDiskStream(path, 1000)));
        Assert.Contains("f was not written: the disk is full", e.Message, StringComparison.Ordinal);
        Assert.Equal(before, File.ReadAllBytes(_folder["f"]));
        Assert.Equal(["f"], _folder.FileNames);
    }

    private static byte[] RandomBytes((ElementType Type, int[] Shape, int Seed) tensor)
    {
        byte[] bytes = new byte[TensorShape.Count(tensor.Shape) * tensor.Type.Size()];
        new Random(tensor.Seed).NextBytes(bytes);
        return bytes;
    }

    private static bool IsWellFormed(string text) => !text.Any(char.IsSurrogate);
}
