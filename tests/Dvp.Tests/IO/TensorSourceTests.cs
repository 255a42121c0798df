using CsCheck;
using Dvp.Engine;
using Dvp.Engine.IO;
using Dvp.Engine.Tensors;
using Xunit;

namespace Dvp.Tests.IO;

public sealed class TensorSourceTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_scoped_source_reads_by_path()
    {
        TensorSource source = new(Archive("encoder.layer.0.dense.weight", "head.bias"));
        Weight weight = source["encoder"]["layer.0"].Required("dense.weight", 2);
        Assert.Equal("encoder.layer.0.dense.weight", weight.Name);
        Assert.Equal([1f, 2f], weight.ToFloats());
        Assert.Null(source["encoder"].Optional("pooler.weight", 2));
        Assert.NotNull(source["head"].Optional("bias", -1));
        Assert.True(source["encoder"].HasAny());
        Assert.False(source["decoder"].HasAny());
        source.Finish();
    }

    [Fact]
    public void Everything_that_does_not_fit_is_one_error()
    {
        TensorArchive archive = Archive("a", "b", "c", "d", "pooler.weight", "layer.3.position_ids", "tied");
        TensorSource source = new(archive, accepted: ["pooler.*", "*.position_ids"]);
        Assert.Equal([0f, 0f], source.Required("missing.one", 2).ToFloats());
        Assert.Empty(source.Required("missing.two", -1).ToFloats());
        source.Required("a", 2);
        Assert.Equal(new float[6], source.Required("b", 2, 3).ToFloats());
        source.Tied("tied", "a");
        DvpException e = Assert.Throws<DvpException>(source.Finish);
        Assert.Equal("weights does not fit the model: 2 tensors missing (missing.one, missing.two); 2 tensors not expected (c, d); "
            + "1 tensor of another shape (b is (2), must be (2, 3)).", e.Message);
    }

    [Fact]
    public void Tied_weights_must_be_equal_copies()
    {
        TensorArchive archive = Archive("shared.weight", "lm_head.weight");
        TensorSource source = new(archive);
        source.RequiredTied("shared.weight", ["lm_head.weight", "decoder.embed_tokens.weight"], 2);
        source.Finish();

        TensorSource onlyCopy = new(Archive("lm_head.weight"));
        Assert.Equal("lm_head.weight", onlyCopy.RequiredTied("shared.weight", ["lm_head.weight"], 2).Name);
        onlyCopy.Finish();

        archive.Add("lm_head.weight", [1f, 3f], 2);
        TensorSource differs = new(archive);
        differs.RequiredTied("shared.weight", ["lm_head.weight"], 2);
        Expect.Error("lm_head.weight is not equal to shared.weight", differs.Finish);
    }

    [Fact]
    public void Two_names_for_one_tensor_must_agree()
    {
        TensorArchive archive = Archive("bert.norm.gamma", "norm.weight");
        TensorSource source = new(archive, WeightNames.Modern("bert."));
        source.Required("norm.weight", 2);
        source.Finish();
        archive.Add("norm.weight", [1f, 3f], 2);
        Expect.Error("tensors bert.norm.gamma and norm.weight are both norm.weight and differ",
            () => new TensorSource(archive, WeightNames.Modern("bert.")));
    }

    [Theory]
    [InlineData("bert.encoder.LayerNorm.gamma", "encoder.LayerNorm.weight")]
    [InlineData("encoder.LayerNorm.beta", "encoder.LayerNorm.bias")]
    [InlineData("model.bert.x", "bert.x")]
    [InlineData("gamma", "gamma")]
    [InlineData("robert.x.betas", "robert.x.betas")]
    public void Old_names_become_present_ones(string stored, string expected) =>
        Assert.Equal(expected, WeightNames.Modern("bert.", "model.")(stored));

    /// <summary>The golden model with old names holds the tensors of the golden model with present ones.</summary>
    [Fact]
    public void A_file_with_old_names_gives_the_same_weights()
    {
        using WeightFiles old = WeightFiles.Open(Path.Combine(Fixtures.Path("bert/old-names"), "model"));
        using WeightFiles modern = WeightFiles.Open(Path.Combine(Fixtures.Path("bert/base"), "model"));
        TensorSource source = new(old, WeightNames.Modern("bert."), ["cls.*", "*.position_ids"]);
        foreach (string name in modern.Names)
        {
            float[] expected = new float[TensorShape.Count(modern.ShapeOf(name))];
            modern.ReadFloats(name, expected);
            Assert.Equal(expected, source.Required(name, modern.ShapeOf(name)).ToFloats());
        }

        source.Finish();
        TensorSource strict = new(old, WeightNames.Modern("bert."));
        foreach (string name in modern.Names)
        {
            strict.Required(name, modern.ShapeOf(name));
        }

        string message = Assert.Throws<DvpException>(strict.Finish).Message;
        Assert.Contains("bert.embeddings.position_ids", message, StringComparison.Ordinal);
        Assert.Contains("cls.", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ElementType.F32, float.NaN)]
    [InlineData(ElementType.F32, float.NegativeInfinity)]
    [InlineData(ElementType.BF16, float.PositiveInfinity)]
    [InlineData(ElementType.F16, float.NaN)]
    [InlineData(ElementType.F64, float.NaN)]
    public void A_weight_that_is_no_number_names_file_and_tensor(ElementType type, float bad)
    {
        float[] values = new float[77];
        values[70] = bad;
        TensorArchive archive = new();
        if (type == ElementType.F64)
        {
            archive.Add("w", [.. values.Select(v => (double)v)], 7, 11);
        }
        else
        {
            archive.Add("w", type, values, 7, 11);
        }

        archive.Save(_folder["model.safetensors"]);
        using WeightFiles files = WeightFiles.Open(_folder.Root);
        Weight weight = new TensorSource(files).Required("w", 7, 11);
        Expect.Error(Path.Combine(_folder.Root, "model.safetensors") + ": tensor w is not finite at [6, 4]", () => weight.ToFloats());
        foreach (ElementType target in (ElementType[])[ElementType.F32, ElementType.BF16, ElementType.F16, ElementType.F64])
        {
            Assert.Throws<DvpException>(() => weight.Read(target, new byte[77 * target.Size()]));
        }
    }

    [Fact]
    public void Reading_in_another_type_rounds_and_checks_its_range()
    {
        TensorArchive archive = new();
        archive.Add("w", [1.00390625f, 65520f], 2);
        Weight weight = new TensorSource(archive).Required("w", 2);
        byte[] bytes = new byte[4];
        weight.Read(ElementType.BF16, bytes);
        Assert.Equal([0x80, 0x3f, 0x80, 0x47], bytes);
        Expect.Error("read as F16", () => weight.Read(ElementType.F16, bytes));
        Assert.Throws<ArgumentException>(() => weight.Read(ElementType.F32, bytes));
    }

    [Fact]
    public void The_first_value_that_is_no_number_is_found_wherever_it_is() =>
        Gen.Select(Gen.Int[1, 70], Gen.Int[0, 69], Gen.Int[0, 3]).Sample((length, at, kind) =>
        {
            ElementType type = ((ElementType[])[ElementType.F32, ElementType.BF16, ElementType.F16, ElementType.F64])[kind];
            float[] values = [.. Enumerable.Range(0, length).Select(i => i % 2 == 0 ? -60000f : 0)];
            values.AsSpan(Math.Min(at, length)).Fill(float.NegativeInfinity);
            byte[] bytes = new byte[length * type.Size()];
            ElementConversion.FromFloats(values, type, bytes);
            return FiniteCheck.FirstNotFinite(type, bytes) == (at < length ? at : -1);
        });

    private static TensorArchive Archive(params ReadOnlySpan<string> names)
    {
        TensorArchive archive = new("weights");
        foreach (string name in names)
        {
            archive.Add(name, [1f, 2f], 2);
        }

        return archive;
    }
}
