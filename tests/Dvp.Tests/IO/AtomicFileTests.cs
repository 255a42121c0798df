using Dvp.Engine;
using Dvp.Engine.IO;
using Xunit;

namespace Dvp.Tests.IO;

public sealed class AtomicFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_file_is_written_and_replaced()
    {
        AtomicFile.WriteText(_folder["new/folder/f.json"], "{\"é\": 1}");
        Assert.Equal("{\"é\": 1}"u8.ToArray(), File.ReadAllBytes(_folder["new/folder/f.json"]));
        AtomicFile.WriteText(_folder["new/folder/f.json"], "2");
        Assert.Equal("2", File.ReadAllText(_folder["new/folder/f.json"]));
        Assert.Single(Directory.GetFiles(_folder["new/folder"]));
    }

    [Fact]
    public void Until_the_end_the_earlier_file_is_there()
    {
        AtomicFile.WriteText(_folder["f"], "old");
        AtomicFile.Write(_folder["f"], stream =>
        {
            stream.Write("new"u8);
            stream.Flush();
            Assert.Equal("old", File.ReadAllText(_folder["f"])); // what a process killed here leaves
        });
        Assert.Equal("new", File.ReadAllText(_folder["f"]));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    [InlineData(4)]
    public void A_full_disk_is_one_clear_error(int capacity)
    {
        AtomicFile.WriteText(_folder["f"], "old");
        DvpException e = Assert.Throws<DvpException>(
            () => AtomicFile.Write(_folder["f"], s => s.Write("new!"u8), path => new FullDiskStream(path, capacity)));
        Assert.Contains("f was not written: the disk is full; free some space", e.Message, StringComparison.Ordinal);
        Assert.Equal("old", File.ReadAllText(_folder["f"]));
        Assert.Equal(["f"], _folder.FileNames);
    }

    [Fact]
    public void An_exception_of_the_writer_passes_through()
    {
        AtomicFile.WriteText(_folder["f"], "old");
        Assert.Throws<FormatException>(() => AtomicFile.Write(_folder["f"], s =>
        {
            s.Write("half"u8);
            throw new FormatException();
        }));
        Assert.Equal("old", File.ReadAllText(_folder["f"]));
        Assert.Equal(["f"], _folder.FileNames);
    }

    [Fact]
    public void A_path_that_cannot_be_a_file_is_an_error()
    {
        AtomicFile.WriteText(_folder["f"], "old");
        Expect.Error("is a folder", () => AtomicFile.WriteText(_folder.Root, "x"));
        DvpException e = Assert.Throws<DvpException>(() => AtomicFile.WriteText(_folder["f/g"], "x"));
        Assert.Contains("g was not written", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_a_killed_process_left_is_removed_when_it_is_old_and_nobody_writes()
    {
        string[] left = [.. ((string[])["old", "young", "busy"]).Select(n => _folder["f.tmp-" + n])];
        foreach (string path in left)
        {
            File.WriteAllText(path, "part");
            File.SetLastWriteTimeUtc(path, DateTime.UtcNow.AddHours(path == left[1] ? -0.5 : -2));
        }

        using (FileStream busy = new(left[2], FileMode.Open, FileAccess.ReadWrite, FileShare.None))
        {
            AtomicFile.WriteText(_folder["f"], "new");
        }

        Assert.Equal(["f", "f.tmp-busy", "f.tmp-young"], _folder.FileNames);
    }
}
