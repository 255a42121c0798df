using Dvp.Engine;
using Dvp.Engine.IO;
using Xunit;

namespace Dvp.Tests.IO;

public sealed class AtomicFolderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>
    /// After every step, what is on the disk is copied: that is what a process killed there leaves. From each such state a reader finds the
    /// whole old or the whole new folder, and the next writer ends with its own and nothing else.
    /// </summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_process_killed_anywhere_leaves_a_whole_folder(bool earlierLeftovers)
    {
        string path = _folder["disk/run"];
        AtomicFolder.Write(path, Fill("old"));
        if (earlierLeftovers)
        {
            Fill("older")(Directory.CreateDirectory(path + ".previous").FullName);
            File.Delete(Path.Combine(path + ".previous", "b")); // removal had begun
            Fill("unfinished")(Directory.CreateDirectory(path + ".tmp-11111111").FullName);
        }

        List<string> steps = [];
        AtomicFolder.Write(path, folder =>
        {
            File.WriteAllText(Path.Combine(folder, "a"), "new");
            Copy(_folder["disk"], _folder["half filled"]);
            steps.Add("half filled");
            File.WriteAllText(Path.Combine(folder, "b"), "new");
        }, step =>
        {
            Copy(_folder["disk"], _folder[step]);
            steps.Add(step);
        });

        Assert.Equal(["begun", "half filled", "filled", "cleared", "set aside", "in place", "done"], steps);
        foreach (string step in steps)
        {
            string killed = Path.Combine(_folder[step], "run");
            string expected = step is "in place" or "done" ? "new" : "old";
            Assert.True(AtomicFolder.Exists(killed));
            Assert.Equal([expected, expected], Contents(AtomicFolder.Resolve(killed)));
            AtomicFolder.Write(killed, Fill("next"));
            Assert.Equal(["next", "next"], Contents(AtomicFolder.Resolve(killed)));
            Assert.Equal([killed], Directory.GetFileSystemEntries(_folder[step]));
        }
    }

    [Fact]
    public void The_first_write_makes_the_folder_and_its_parents()
    {
        Assert.False(AtomicFolder.Exists(_folder["x/y"]));
        AtomicFolder.Write(_folder["x/y/"], Fill("new"));
        Assert.Equal(["new", "new"], Contents(AtomicFolder.Resolve(_folder["x/y/"])));
        Assert.Equal(["y"], Directory.GetFileSystemEntries(_folder["x"]).Select(e => Path.GetFileName(e)));
    }

    [Fact]
    public void A_failure_leaves_the_earlier_folder_and_no_other()
    {
        AtomicFolder.Write(_folder["run"], Fill("old"));
        Assert.Throws<FormatException>(() => AtomicFolder.Write(_folder["run"], _ => throw new FormatException()));
        DvpException e = Assert.Throws<DvpException>(() => AtomicFolder.Write(_folder["run"], folder =>
        {
            File.WriteAllText(Path.Combine(folder, "a"), "new");
            throw FullDiskStream.NoSpace();
        }));
        Assert.Contains("run was not written: the disk is full", e.Message, StringComparison.Ordinal);
        Assert.Equal(["old", "old"], Contents(_folder["run"]));
        Assert.Equal(["run"], _folder.FileNames);
    }

    [Fact]
    public void A_second_writer_is_refused()
    {
        AtomicFolder.Write(_folder["run"], _ =>
        {
            DvpException e = Assert.Throws<DvpException>(() => AtomicFolder.Write(_folder["run"], Fill("second")));
            Assert.Contains("another process is writing it", e.Message, StringComparison.Ordinal);
        });
        Assert.Empty(Directory.GetFiles(_folder["run"]));
    }

    [Fact]
    public void A_missing_folder_and_a_file_in_its_place_are_errors()
    {
        File.WriteAllText(_folder["f"], "");
        Expect.Error("does not exist", () => AtomicFolder.Resolve(_folder["none"]));
        Expect.Error("is a file", () => AtomicFolder.Resolve(_folder["f"]));
        Expect.Error("is a file", () => AtomicFolder.Write(_folder["f"], _ => { }));
    }

    private static Action<string> Fill(string text) => folder =>
    {
        File.WriteAllText(Path.Combine(folder, "a"), text);
        File.WriteAllText(Path.Combine(folder, "b"), text);
    };

    private static string[] Contents(string folder) => [.. ((string[])["a", "b"]).Select(n => File.ReadAllText(Path.Combine(folder, n)))];

    private static void Copy(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (string folder in Directory.GetDirectories(from))
        {
            Copy(folder, Path.Combine(to, Path.GetFileName(folder)));
        }

        foreach (string file in Directory.GetFiles(from).Where(f => !f.EndsWith(".lock", StringComparison.Ordinal)))
        {
            File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
        }
    }
}
