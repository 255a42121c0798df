using System.IO.Compression;
using System.Text;
using Dvp.Engine;
using Dvp.Engine.IO;
using Xunit;

namespace Dvp.Tests.IO;

public sealed class JsonInputTests : IDisposable
{
    private const string Text = """{"questions": ["é"]}""";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_plain_file_is_read()
    {
        File.WriteAllText(_folder["questions.json"], Text);
        Assert.Equal((Text, "questions.json"), Read("questions.json"));
        using InputStream stream = JsonInput.Open(_folder.Root, "questions.json");
        Assert.Equal((byte)'{', stream.ReadByte());
    }

    [Theory]
    [InlineData("questions.json.gz")]
    [InlineData("questions.json")] // compressed under the plain name: the content decides
    public void A_compressed_file_is_read(string name)
    {
        WriteGzip(name, Text);
        Assert.Equal((Text, name), Read("questions.json"));
        Assert.Equal((Text, name), Read(name));
    }

    [Fact]
    public void An_archive_of_the_same_name_is_read_first()
    {
        WriteZip("questions.zip", ("folder/questions.json", Text), ("__MACOSX/questions.json", "x"));
        WriteZip("other.zip", ("questions.json", "other"));
        Assert.Equal((Text, "questions.zip/folder/questions.json"), Read("questions.json"));
        Assert.Equal((Text, "questions.zip/folder/questions.json"), Read("questions.zip"));
    }

    [Fact]
    public void The_only_archive_with_the_entry_is_found()
    {
        WriteZip("train.zip", ("train.json", Text), ("readme.txt", ""), ("val.json", "{}"));
        WriteZip("test.zip", ("test.json", Text));
        Assert.Equal((Text, "train.zip/train.json"), Read("train.json"));
        Assert.Equal(("{}", "train.zip/val.json"), Read("train.zip/val.json"));
        Assert.True(JsonInput.Exists(_folder["train.json"]));
        Assert.False(JsonInput.Exists(_folder["none.json"]));
    }

    [Fact]
    public void Several_archives_or_entries_are_an_error_that_lists_them()
    {
        WriteZip("a.zip", ("q.json", Text), ("r.json", Text));
        WriteZip("b.zip", ("q.json", Text));
        Assert.Contains("is in several archives (a.zip, b.zip)", Error("q.json"), StringComparison.Ordinal);
        Assert.Contains("one .json entry is needed; the archive has q.json, r.json", Error("a.zip"), StringComparison.Ordinal);
        Assert.Contains("s.json is there not at all; the archive has q.json, r.json", Error("a.zip/s.json"), StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_file_says_what_was_looked_for()
    {
        string message = Error("questions.json");
        Assert.Contains("questions.json does not exist, nor does questions.json.gz or a .zip beside it", message, StringComparison.Ordinal);
        Assert.Contains("does not exist", Error("no/such/folder.json"), StringComparison.Ordinal);
    }

    [Fact]
    public void A_byte_order_mark_is_removed_and_tiny_files_are_read()
    {
        File.WriteAllText(_folder["mark.json"], Text, new UTF8Encoding(true));
        Assert.Equal(Text, Read("mark.json").Text);
        foreach (string text in (string[])["", "1", "12", "123", "1234"])
        {
            File.WriteAllText(_folder["tiny.json"], text);
            Assert.Equal(text, Read("tiny.json").Text);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(40)]
    [InlineData(2000)]
    public void A_truncated_compressed_file_is_an_error_that_names_it(int length)
    {
        byte[] random = new byte[3000];
        new Random(1).NextBytes(random);
        WriteGzip("q.json.gz", Convert.ToHexString(random));
        byte[] whole = File.ReadAllBytes(_folder["q.json.gz"]);
        File.WriteAllBytes(_folder["q.json.gz"], whole[..length]);
        Assert.Contains("q.json.gz", Error("q.json"), StringComparison.Ordinal);
    }

    [Fact]
    public void A_compressed_file_of_several_members_is_read()
    {
        WriteGzip("a", "[1,");
        WriteGzip("b", "2222222]");
        File.WriteAllBytes(_folder["q.json.gz"], [.. File.ReadAllBytes(_folder["a"]), .. File.ReadAllBytes(_folder["b"])]);
        Assert.Equal("[1,2222222]", Read("q.json").Text);
    }

    [Fact]
    public void A_damaged_archive_is_an_error_that_names_it()
    {
        WriteZip("q.zip", ("q.json", Text));
        byte[] whole = File.ReadAllBytes(_folder["q.zip"]);
        File.WriteAllBytes(_folder["q.zip"], whole[..^5]);
        Assert.Contains("q.zip is not a zip archive, or is truncated", Error("q.json"), StringComparison.Ordinal);
        Assert.True(JsonInput.Exists(_folder["q.json"]));
        WriteZip("other.zip", ("r.json", Text));
        Assert.Equal(Text, Read("r.json").Text);
        File.WriteAllText(_folder["plain.json.gz"], Text);
        Assert.Contains("plain.json.gz is not a gzip file", Error("plain.json"), StringComparison.Ordinal);
    }

    private (string Text, string Origin) Read(string name)
    {
        using InputStream stream = JsonInput.Open(_folder[name]);
        using StreamReader reader = new(stream, new UTF8Encoding(false, true), detectEncodingFromByteOrderMarks: false);
        return (reader.ReadToEnd(), Path.GetRelativePath(_folder.Root, stream.Origin));
    }

    private string Error(string name) => Assert.Throws<DvpException>(() => Read(name)).Message;

    private void WriteGzip(string name, string text)
    {
        using GZipStream stream = new(File.Create(_folder[name]), CompressionLevel.Fastest);
        stream.Write(Encoding.UTF8.GetBytes(text));
    }

    private void WriteZip(string name, params ReadOnlySpan<(string Name, string Text)> entries)
    {
        using ZipArchive archive = ZipFile.Open(_folder[name], ZipArchiveMode.Create);
        foreach ((string entry, string text) in entries)
        {
            using Stream stream = archive.CreateEntry(entry).Open();
            stream.Write(Encoding.UTF8.GetBytes(text));
        }
    }
}
