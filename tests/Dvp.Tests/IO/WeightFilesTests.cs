using Dvp.Engine;
using Dvp.Engine.IO;
using Dvp.Engine.Tensors;
using Xunit;

namespace Dvp.Tests.IO;

public sealed class WeightFilesTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Shards_read_as_one_set()
    {
        string model = Path.Combine(Fixtures.Path("bert/mlm-sharded"), "model");
        using WeightFiles weights = WeightFiles.Open(model);
        Assert.Equal(8, weights.FilePaths.Count);
        string[] names = [.. ConfigFile.Load(Path.Combine(model, "model.safetensors.index.json")).Section("weight_map")!.Keys];
        Assert.Equal(names.Order(StringComparer.Ordinal), weights.Names.Order(StringComparer.Ordinal));
        foreach (string name in names)
        {
            using SafetensorsFile shard = new(weights.FileOf(name));
            double[] a = new double[shard[name].Count];
            double[] b = new double[shard[name].Count];
            shard.ReadDoubles(name, a);
            weights.ReadDoubles(name, b);
            Assert.Equal(a, b);
            Assert.True(weights.Bytes(name, 0, (int)shard[name].Length).SequenceEqual(shard.Bytes(name)));
        }
    }

    [Fact]
    public void A_single_file_is_opened_by_its_folder_and_by_its_name()
    {
        Save("model.safetensors", ("a", 1));
        using WeightFiles folder = WeightFiles.Open(_folder.Root);
        using WeightFiles file = WeightFiles.Open(_folder["model.safetensors"]);
        Assert.Equal(["a"], folder.Names);
        Assert.Equal(["a"], file.Names);
        Assert.Equal(ElementType.F32, file.TypeOf("a"));
        Expect.Error("has no tensor b", () => file.FileOf("b"));
    }

    [Fact]
    public void Every_missing_shard_is_named()
    {
        Save("1.safetensors", ("a", 1));
        Index("""{"a": "1.safetensors", "b": "2.safetensors", "c": "3.safetensors"}""");
        Assert.Contains("lacks 2.safetensors, 3.safetensors", OpenError(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_shard_without_a_promised_tensor_is_named()
    {
        Save("1.safetensors", ("a", 1));
        Index("""{"a": "1.safetensors", "b": "1.safetensors"}""");
        Assert.Contains("there is no tensor b in 1.safetensors", OpenError(), StringComparison.Ordinal);
    }

    [Fact]
    public void The_index_chooses_between_copies_and_an_unlisted_tensor_is_seen()
    {
        Save("1.safetensors", ("a", 1), ("b", 2), ("extra", 3));
        Save("2.safetensors", ("a", 4), ("b", 5));
        Index("""{"a": "1.safetensors", "b": "2.safetensors"}""");
        using WeightFiles weights = WeightFiles.Open(_folder.Root);
        Assert.Equal(["a", "b", "extra"], weights.Names.Order(StringComparer.Ordinal));
        Assert.Equal([1f, 5f, 3f], ((string[])["a", "b", "extra"]).Select(n => Value(weights, n)));
    }

    [Theory]
    [InlineData("{", "not valid JSON")]
    [InlineData("[]", "must hold a JSON object, found a list")]
    [InlineData("{}", "weight_map is missing")]
    [InlineData("{\"weight_map\": {}}", "lists no tensor")]
    [InlineData("{\"weight_map\": 7}", "weight_map must be an object, found 7")]
    [InlineData("{\"weight_map\": {\"a\": 7}}", "weight_map.a must be the name of a file")]
    [InlineData("{\"weight_map\": {\"a\": \"../1.safetensors\"}}", "weight_map.a must be the name of a file in the same folder")]
    [InlineData("{\"weight_map\": {\"a\": \"..\"}}", "weight_map.a must be the name of a file in the same folder")]
    [InlineData("{\"weight_map\": {\"a\": \"1\", \"a\": \"2\"}}", "not valid JSON")]
    public void A_damaged_index_is_an_error(string json, string message)
    {
        File.WriteAllText(_folder["model.safetensors.index.json"], json);
        Assert.Contains(message, OpenError(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_without_weights_says_what_it_needs()
    {
        Assert.Contains("neither model.safetensors nor model.safetensors.index.json", OpenError(), StringComparison.Ordinal);
        File.WriteAllText(_folder["pytorch_model.bin"], "");
        Assert.Contains("save the model as safetensors", OpenError(), StringComparison.Ordinal);
        Expect.Error("does not exist", () => WeightFiles.Open(_folder["none"]));
    }

    [Fact]
    public void The_previous_folder_is_used_where_the_new_one_did_not_come_into_place()
    {
        Directory.CreateDirectory(_folder["run.previous"]);
        Save("run.previous/dvp.safetensors", ("a", 1));
        using WeightFiles weights = WeightFiles.Open(_folder["run"], "dvp");
        Assert.Equal(["a"], weights.Names);
    }

    [Fact]
    public void The_fingerprint_is_that_of_the_tensors_not_of_the_files()
    {
        string sharded = Path.Combine(Fixtures.Path("bert/mlm-sharded"), "model");
        string whole = Directory.CreateDirectory(_folder["whole"]).FullName;
        TensorArchive archive = new();
        using (WeightFiles weights = WeightFiles.Open(sharded))
        {
            foreach (string name in weights.Names.Reverse())
            {
                float[] values = new float[TensorShape.Count(weights.ShapeOf(name))];
                weights.ReadFloats(name, values);
                archive.Add(name, weights.TypeOf(name), values, weights.ShapeOf(name));
            }
        }

        archive.Save(Path.Combine(whole, "model.safetensors"));
        string config = File.ReadAllText(Path.Combine(sharded, "config.json"));
        File.WriteAllText(Path.Combine(whole, "config.json"), config.Replace("\n", " ", StringComparison.Ordinal)
            .Replace("\"transformers_version\": \"", "\"transformers_version\": \"9", StringComparison.Ordinal));
        string expected = Fingerprint.OfModel(sharded);
        Assert.Matches("^sha256:[0-9a-f]{64}$", expected);
        Assert.Equal(expected, Fingerprint.OfModel(whole));
        Assert.Equal(expected, Fingerprint.OfModel(ConfigFile.Load(Path.Combine(whole, "config.json")), archive));

        string first = archive.Names.First(n => archive.ShapeOf(n).Length == 2);
        archive.Floats(first)[^1] = BitConverter.Int32BitsToSingle(BitConverter.SingleToInt32Bits(archive.Floats(first)[^1]) ^ 1);
        archive.Save(Path.Combine(whole, "model.safetensors"));
        Assert.NotEqual(expected, Fingerprint.OfModel(whole));
    }

    [Theory]
    [InlineData("""{"a": 1, "b": {"x": [1, "é"]}}""", true)]
    [InlineData("""{"b":{"x":[1,"\u00e9"]},"a":1,"transformers_version":"5"}""", true)]
    [InlineData("""{"a": 2, "b": {"x": [1, "é"]}}""", false)]
    [InlineData("""{"a": 1, "b": {"x": [1, "e"]}}""", false)]
    [InlineData("""{"a": 1, "b": {"x": ["é", 1]}}""", false)]
    [InlineData("""{"a": 1, "b": {"x": [1, "é"], "transformers_version": "5"}}""", false)]
    public void The_fingerprint_of_a_configuration_ignores_layout_only(string json, bool same)
    {
        static string Of(string text) =>
            Fingerprint.OfModel(ConfigFile.Parse("config.json", System.Text.Encoding.UTF8.GetBytes(text)), new TensorArchive());
        Assert.Equal(same, Of("""{"a":1,"b":{"x":[1,"é"]}}""") == Of(json));
    }

    [Fact]
    public void The_fingerprint_of_files_is_that_of_names_and_bytes()
    {
        Directory.CreateDirectory(_folder["x"]);
        foreach (string name in (string[])["a", "b", "x/a", "x/b"])
        {
            File.WriteAllText(_folder[name], Path.GetFileName(name));
        }

        string expected = Fingerprint.OfFiles(_folder["a"], _folder["b"]);
        Assert.Equal(expected, Fingerprint.OfFiles(_folder["x/b"], _folder["x/a"]));
        File.WriteAllText(_folder["x/b"], "c");
        Assert.NotEqual(expected, Fingerprint.OfFiles(_folder["x/b"], _folder["x/a"]));
        Expect.Error("none", () => Fingerprint.OfFiles(_folder["none"]));
        Assert.Equal("sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", Fingerprint.OfBytes("abc"u8));
    }

    private static float Value(WeightFiles weights, string name)
    {
        float[] value = new float[1];
        weights.ReadFloats(name, value);
        return value[0];
    }

    private void Save(string file, params ReadOnlySpan<(string Name, float Value)> tensors)
    {
        TensorArchive archive = new();
        foreach ((string name, float value) in tensors)
        {
            archive.Add(name, [value], 1);
        }

        archive.Save(_folder[file]);
    }

    private void Index(string map) =>
        File.WriteAllText(_folder["model.safetensors.index.json"], $"{{\"weight_map\": {map}}}");

    private string OpenError() => Assert.Throws<DvpException>(() => WeightFiles.Open(_folder.Root)).Message;
}
