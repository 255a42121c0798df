using System.Text;
using Dvp.Engine;
using Dvp.Engine.IO;
using Xunit;

namespace Dvp.Tests.IO;

public sealed class JsonReadTests
{
    [Fact]
    public void Values_are_read_by_key()
    {
        JsonRead json = Parse("""
            {"i": -3, "p": 12.0, "d": 1e-5, "b": true, "s": "é", "n": null, "o": {"x": 1}, "l": ["a", "b"], "f": [0.5, 1]}
            """);
        Assert.Equal(-3, json.Int("i"));
        Assert.Equal(12, json.PositiveInt("p"));
        Assert.Equal(7, json.PositiveInt("n", 7));
        Assert.Equal(1e-5, json.Double("d"));
        Assert.Equal(2, json.Double("none", 2));
        Assert.True(json.Bool("b"));
        Assert.False(json.Bool("none", false));
        Assert.Equal("é", json.String("s"));
        Assert.Null(json.String("none", null));
        Assert.Equal("é", json.OneOf("s", null, "e", "é"));
        Assert.Equal("e", json.OneOf("none", "e", "e", "é"));
        Assert.Equal(1, json.Object("o").Int("x"));
        Assert.Null(json.OptionalObject("n"));
        Assert.Equal(["a", "b"], json.Strings("l"));
        Assert.Equal([0.5, 1], json.Doubles("f"));
        Assert.Empty(json.Strings("none"));
        Assert.False(json.Has("n"));
        Assert.Equal(9, json.Keys.Count());
    }

    [Fact]
    public void Errors_name_file_key_need_and_value()
    {
        JsonRead json = Parse("""{"hidden_size": -3, "eps": "x", "big": 1e99, "half": 1.5, "o": {"x": [1]}, "l": ["a", 1]}""");
        Assert.Equal("config.json: hidden_size must be a positive integer, found -3.", Error(() => json.PositiveInt("hidden_size")));
        Assert.Equal("config.json: layers is missing; it must be a positive integer.", Error(() => json.PositiveInt("layers")));
        Assert.Equal("config.json: eps must be a number, found \"x\".", Error(() => json.Double("eps", 1)));
        Assert.Equal("config.json: big must be an integer, found 1e99.", Error(() => json.Int("big")));
        Assert.Equal("config.json: half must be an integer, found 1.5.", Error(() => json.Int("half", 1)));
        Assert.Equal("config.json: o.x must be true or false, found a list.", Error(() => json.Object("o").Bool("x")));
        Assert.Equal("config.json: o must be a string, found an object.", Error(() => json.String("o")));
        Assert.Equal("config.json: eps must be one of gelu, relu, found \"x\".", Error(() => json.OneOf("eps", null, "gelu", "relu")));
        Assert.Equal("config.json: l must be a list of strings, found 1 in it.", Error(() => json.Strings("l")));
        Assert.Equal("config.json: eps must be an object, found \"x\".", Error(() => json.OptionalObject("eps")));
        Assert.Equal("config.json: hidden_size must be a multiple of heads (2), found -3.", json.Error("hidden_size", "a multiple of heads (2)").Message);
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
    public void A_byte_order_mark_is_accepted_and_a_missing_file_named()
    {
        Assert.Equal(1, Parse("\ufeff{\"a\": 1}").Int("a"));
        Assert.Equal("/no/config.json does not exist.", Assert.Throws<DvpException>(() => JsonRead.File("/no/config.json")).Message);
    }

    private static JsonRead Parse(string text) => JsonRead.Parse(Encoding.UTF8.GetBytes(text), "config.json");

    private static string Error(Func<object?> read) => Assert.Throws<DvpException>(read).Message;
}
