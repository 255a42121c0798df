using System.Text;
using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.IO;
using Xunit;

namespace Dvp.Tests.IO;

public sealed class ConfigFileTests
{
    [Fact]
    public void Values_are_read_by_key()
    {
        ConfigFile json = Parse("""
            {"i": -3, "p": 12.0, "d": 1e-5, "b": true, "s": "é", "n": null, "o": {"x": 1}, "l": ["a", "b"], "k": [1, 2], "act": "gelu_new"}
            """);
        Assert.Equal(-3, json.Int("i"));
        Assert.Equal(12, json.PositiveInt("p"));
        Assert.Equal(7, json.PositiveInt("n", 7));
        Assert.Equal(1e-5, json.Number("d"));
        Assert.Equal(2, json.Number("none", 2));
        Assert.True(json.Bool("b"));
        Assert.False(json.Bool("none", false));
        Assert.Equal("é", json.Text("s"));
        Assert.Equal("x", json.Text("none", "x"));
        Assert.Equal(1, json.Section("o")!.Int("x"));
        Assert.Null(json.Section("n"));
        Assert.Equal(["a", "b"], json.Texts("l"));
        Assert.Equal([1, 2], json.Integers("k"));
        Assert.Null(json.Texts("none"));
        Assert.False(json.Has("n"));
        Assert.Equal(Activation.GeluTanh, json.Activation("act", Activation.Relu));
        Assert.Equal(Activation.Relu, json.Activation("none", Activation.Relu));
        Assert.Equal(["i", "p", "d", "b", "s", "n", "o", "l", "k", "act"], json.Keys);
        json.RequireValue("s", "é");
        json.RequireValue("none", "é", optional: true);
    }

    [Fact]
    public void Errors_name_file_key_need_and_value()
    {
        ConfigFile json = Parse("""
            {"hidden_size": -3, "eps": "x", "big": 1e99, "huge": 1e999, "half": 1.5, "o": {"x": [1], "y": {}}, "l": ["a", 1], "n": 33554432}
            """);
        Assert.Equal("config.json: hidden_size must be a positive integer, found -3.", Error(() => json.PositiveInt("hidden_size")));
        Assert.Equal("config.json: n must be a positive integer, found 33554432.", Error(() => json.PositiveInt("n")));
        Assert.Equal("config.json: layers is missing.", Error(() => json.PositiveInt("layers")));
        Assert.Equal("config.json: eps must be a number, found \"x\".", Error(() => json.Number("eps", 1)));
        Assert.Equal("config.json: huge must be a number, found 1e999.", Error(() => json.Number("huge")));
        Assert.Equal("config.json: n must be at least 0 and below 1, found 33554432.", Error(() => json.DropoutRate("n", 0.1)));
        Assert.Equal("config.json: big must be a whole number, found 1e99.", Error(() => json.Int("big")));
        Assert.Equal("config.json: half must be a whole number, found 1.5.", Error(() => json.Int("half", 1)));
        Assert.Equal("config.json: o.x must be true or false, found a list.", Error(() => json.Section("o")!.Bool("x")));
        Assert.Equal("config.json: o.y must be a list, found an object.", Error(() => json.Section("o")!.Texts("y")));
        Assert.Equal("config.json: o must be a text, found an object.", Error(() => json.Text("o")));
        Assert.Equal("config.json: eps must be an object, found \"x\".", Error(() => json.Section("eps")));
        Assert.Equal("config.json: l must hold texts, found 1.", Error(() => json.Texts("l")));
        Assert.Equal("config.json: l must hold whole numbers, found \"a\".", Error(() => json.Integers("l")));
        Assert.Equal("config.json: eps must be relu, gelu, gelu_new, quick_gelu, silu or tanh, found x.",
            Error(() => json.Activation("eps", Activation.Relu)));
        Expect.Error("config.json: eps must be y, found x.", () => json.RequireValue("eps", "y"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("[1]")]
    [InlineData("{\"a\": NaN}")]
    [InlineData("{\"a\": 1, \"a\": 2}")]
    [InlineData("{\"a\": 1} x")]
    [InlineData("{\"a\": {\"b\": 1, \"b\": 2}}")]
    public void Text_that_is_no_object_is_an_error(string text) =>
        Assert.StartsWith("config.json", Assert.Throws<DvpException>(() => Parse(text)).Message, StringComparison.Ordinal);

    [Fact]
    public void A_byte_order_mark_is_accepted_and_bad_files_are_named()
    {
        Assert.Equal(1, Parse("\ufeff{\"a\": 1}").Int("a"));
        Expect.Error("/no/config.json is missing", () => ConfigFile.Load("/no/config.json"));
        Expect.Error("config.json", () => ConfigFile.Parse("config.json", [.. "{\"a"u8, 0xff, .. "\": 1}"u8]));
    }

    private static ConfigFile Parse(string text) => ConfigFile.Parse("config.json", Encoding.UTF8.GetBytes(text));

    private static string Error(Func<object?> read) => Assert.Throws<DvpException>(read).Message;
}
