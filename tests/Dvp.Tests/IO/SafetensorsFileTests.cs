using System.Buffers.Binary;
using System.Text;
using Dvp.Engine;
using Dvp.Engine.IO;
using Dvp.Engine.Tensors;
using Xunit;

namespace Dvp.Tests.IO;

public sealed class SafetensorsFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_file_of_the_reference_library_is_read()
    {
        using SafetensorsFile file = new(Path.Combine(Fixtures.Path("bert/base"), "model", "model.safetensors"));
        Assert.Equal("pt", file.Metadata["format"]);
        TensorEntry entry = file["embeddings.word_embeddings.weight"];
        Assert.Equal(ElementType.F32, entry.Type);
        Assert.Equal(2, entry.Shape.Length);
        Assert.Equal(entry.Count, TensorShape.Count(entry.Shape));
        float[] values = new float[entry.Count];
        file.ReadFloats(entry.Name, values);
        Assert.Contains(values, v => v != 0);
        float[] part = new float[7];
        file.ReadFloats(entry, 5, part);
        Assert.Equal(values[5..12], part);
        Assert.Equal(file.Names.Order(StringComparer.Ordinal), file.Entries.Keys.Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}", 8, "not valid JSON")]
    [InlineData("[1,2]", 0, "does not begin with an object")]
    [InlineData(" {}", 0, "does not begin with an object")]
    [InlineData("{} {}", 0, "not valid JSON")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
        + "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}",
        16, "tensor a appears twice")]
    [InlineData("{\"a\":{\"dtype\":\"F8_E4M3\",\"shape\":[2],\"data_offsets\":[0,2]}}",
        2, "tensor a has the dtype F8_E4M3, which is not supported")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8, "shape of tensor a must hold whole numbers")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[2.5],\"data_offsets\":[0,8]}}", 8, "shape of tensor a must hold whole numbers")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[1e99],\"data_offsets\":[0,8]}}", 8, "shape of tensor a must hold whole numbers")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[2000000000,2000000000,2000000000],\"data_offsets\":[0,8]}}",
        8, "tensor a is larger than any memory")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,8]}}",
        8, "tensor a is larger than any memory")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}",
        8, "tensor a has 8 bytes of data, but F32 [3] takes 12")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8, "data_offsets of tensor a end at 0")]
    [InlineData("{\"a\":{\"dtype\":\"U8\",\"shape\":[7],\"data_offsets\":[9223372036854775800,9223372036854775807]}}",
        8, "data_offsets of tensor a lie outside any file")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 7, "the file is truncated: tensor a ends")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 9, "the last 1 bytes belong to no tensor")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
        + "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}",
        12, "tensors a and b overlap")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
        + "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[12,20]}}",
        20, "4 bytes before tensor b belong to no tensor")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 0, "tensor a lacks its dtype, its shape or its two data_offsets")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,9]}}",
        8, "tensor a lacks its dtype, its shape or its two data_offsets")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,8]}}",
        8, "tensor a has a repeated or wrong dtype")]
    [InlineData("{\"a\":{\"dtype\":7,\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "tensor a has a repeated or wrong dtype")]
    [InlineData("{\"a\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}", 8, "shape of tensor a is not a list")]
    [InlineData("{\"a\":7}", 0, "the entry of tensor a is not an object")]
    [InlineData("{\"__metadata__\":7}", 0, "__metadata__ is not an object")]
    [InlineData("{\"__metadata__\":{\"k\":1}}", 0, "__metadata__.k is not a string")]
    [InlineData("{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", 0, "__metadata__.k appears twice")]
    [InlineData("{\"\\ud800\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "not valid JSON")]
    public void Damage_in_the_header_is_named(string header, int dataBytes, string message)
    {
        string path = WriteRaw((ulong)Encoding.UTF8.GetByteCount(header), header, dataBytes);
        DvpException e = Assert.Throws<DvpException>(() => new SafetensorsFile(path).Dispose());
        Assert.Contains(path, e.Message, StringComparison.Ordinal);
        Assert.Contains(message, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Invalid_utf8_in_the_header_is_an_error()
    {
        byte[] bytes = File.ReadAllBytes(WriteRaw(58, "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}    ", 8));
        bytes[10] = 0xff;
        File.WriteAllBytes(_folder["x"], bytes);
        Expect.Error("not valid JSON", () => new SafetensorsFile(_folder["x"]));
    }

    [Theory]
    [InlineData(ulong.MaxValue, "its header would have 18446744073709551615 bytes")]
    [InlineData(1UL << 63, "its header would have")]
    [InlineData(100_000_001UL, "its header would have 100000001 bytes")]
    [InlineData(100_000_000UL, "its header should have 100000000 bytes, the file has 10")]
    [InlineData(3UL, "its header should have 3 bytes, the file has 10")]
    [InlineData(0UL, "its header should have 0 bytes")]
    public void An_absurd_header_length_allocates_nothing(ulong length, string message)
    {
        string path = WriteRaw(length, "{}", 0);
        long before = GC.GetAllocatedBytesForCurrentThread();
        DvpException e = Assert.Throws<DvpException>(() => new SafetensorsFile(path));
        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 1 << 20);
        Assert.Contains(message, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Short_missing_and_wrong_paths_are_named()
    {
        File.WriteAllBytes(_folder["short"], [1, 2, 3]);
        File.WriteAllBytes(_folder["empty"], []);
        Expect.Error("3 bytes, too few", () => new SafetensorsFile(_folder["short"]));
        Expect.Error("0 bytes, too few", () => new SafetensorsFile(_folder["empty"]));
        Expect.Error("does not exist", () => new SafetensorsFile(_folder["none"]));
        Expect.Error("is a folder", () => new SafetensorsFile(_folder.Root));
    }

    [Fact]
    public void Every_truncation_of_a_file_is_an_error()
    {
        TensorArchive archive = new();
        archive.Add("a", [1f, 2f, 3f], 3);
        archive.Add("b", [4L], 1);
        archive.Save(_folder["whole"]);
        byte[] whole = File.ReadAllBytes(_folder["whole"]);
        for (int length = 0; length < whole.Length; length++)
        {
            File.WriteAllBytes(_folder["part"], whole[..length]);
            Assert.Throws<DvpException>(() => new SafetensorsFile(_folder["part"]).Dispose());
        }
    }

    [Fact]
    public void An_empty_tensor_a_scalar_and_unaligned_data_are_read()
    {
        string header = "{\"e\":{\"dtype\":\"F64\",\"shape\":[0,3],\"data_offsets\":[1,1]},"
            + "\"u\":{\"dtype\":\"BOOL\",\"shape\":[],\"data_offsets\":[0,1]},"
            + "\"f\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[1,5],\"later\":{\"x\":[1]}}}\n ";
        string path = WriteRaw((ulong)header.Length, header, 5);
        using SafetensorsFile file = new(path);
        Assert.Equal(0, file["e"].Count);
        Assert.True(file.Bytes("e").IsEmpty);
        Assert.Equal([7L], file.ReadInt64("u"));
        float[] f = new float[1];
        file.ReadFloats("f", f);
        Assert.Equal(BitConverter.UInt32BitsToSingle(0x07070707), f[0]);
    }

    [Fact]
    public void Reading_the_wrong_type_or_name_is_an_error()
    {
        TensorArchive archive = new();
        archive.Add("ids", [4L, 5L], 2);
        archive.Add("x", [1f, 2f], 2);
        archive.Save(_folder["f"]);
        SafetensorsFile file = new(_folder["f"]);
        Expect.Error("has no tensor y", () => file["y"]);
        Expect.Error("tensor ids holds I64", () => file.ReadFloats("ids", new float[2]));
        Expect.Error("tensor x holds F32", () => file.ReadInt64("x"));
        Assert.Throws<ArgumentException>(() => file.ReadFloats("x", new float[1]));
        Assert.Throws<ArgumentOutOfRangeException>(() => file.ReadFloats(file["x"], 1, new float[2]));
        double[] ids = new double[2];
        file.ReadDoubles("ids", ids);
        Assert.Equal([4.0, 5.0], ids);
        file.Dispose();
        file.Dispose();
        Assert.Throws<ObjectDisposedException>(() => file.Bytes("x").Length);
    }

    private string WriteRaw(ulong length, string header, int dataBytes)
    {
        byte[] bytes = new byte[8 + Encoding.UTF8.GetByteCount(header) + dataBytes];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, length);
        Encoding.UTF8.GetBytes(header, bytes.AsSpan(8));
        bytes.AsSpan(bytes.Length - dataBytes).Fill(7);
        File.WriteAllBytes(_folder["file.safetensors"], bytes);
        return _folder["file.safetensors"];
    }
}
