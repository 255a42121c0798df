using Dvp.Engine;
using Dvp.Settings;
using Dvp.Tests.IO;
using Xunit;

namespace Dvp.Tests.Cli;

public sealed class ErrorTests
{
    [Theory]
    [InlineData("dif", "Unknown command dif (did you mean diff?)")]
    [InlineData("diff a b --rtoll 1", "Unknown flag --rtoll (did you mean --rtol?); see dvp diff --help")]
    [InlineData("diff a", "'B'")]
    [InlineData("diff a b c", "Unknown argument c")]
    [InlineData("diff a b --rtol many", "--rtol is \"many\", but it must be a number from 0")]
    [InlineData("flops --layer 1.5", "--layer is \"1.5\", but it must be a whole number from 0 to 1000")]
    [InlineData("flops --layer -1", "--layer is \"-1\"")]
    [InlineData("flops --layer", "--layer")]
    [InlineData("flops --batch 0", "--batch is \"0\"")]
    [InlineData("flops --bert-base --model x", "--model and --bert-base exclude each other")]
    [InlineData("doctor --threads 0", "--threads is \"0\", but it must be a whole number from 1 to 1024")]
    [InlineData("forward --model m --inputs i --output o --device tpu", "--device is \"tpu\", but it must be auto, cpu, cuda or cuda:n")]
    [InlineData("forward --model m --inputs i", "--output")]
    [InlineData("preprocess --image i --output o --transform pil", "openai or hf")]
    [InlineData("completion powershell", "\"powershell\"")]
    public void A_wrong_command_line_is_one_sentence(string line, string names) => Tool.AssertFails(2, names, line.Split(' '));

    [Theory]
    [InlineData("diff nowhere.safetensors other.safetensors", "nowhere.safetensors")]
    [InlineData("inspect nowhere", "nowhere does not exist")]
    [InlineData("forward --model nowhere --inputs nothing.safetensors --output o.safetensors", "nothing.safetensors")]
    [InlineData("preprocess --image nowhere.png --output o.safetensors", "nowhere.png")]
    [InlineData("flops --model nowhere", "nowhere")]
    [InlineData("flops --dvp nowhere", "nowhere")]
    [InlineData("diff a b --case c --rtol 1", "--case has its own tolerances")]
    public void A_missing_file_is_one_sentence(string line, string names) => Tool.AssertFails(2, names, line.Split(' '));

    [Fact]
    public void A_gpu_that_is_asked_for_is_never_replaced() =>
        Tool.AssertFails(3, "cuda:0", "forward", "--model", "m", "--inputs", "i", "--output", "o", "--device", "cuda");

    [Fact]
    public void An_error_is_an_object_too_where_json_is_asked_for()
    {
        ToolRun run = Tool.Run("inspect", "nowhere", "--json");
        Assert.Equal(2, run.Code);
        Assert.Equal("nowhere does not exist.", run.Json.GetProperty("error").GetString());
        Assert.Equal(2, run.Json.GetProperty("exit_code").GetInt32());
        Assert.Single(run.Error.TrimEnd('\n').Split('\n'));
        Assert.Equal(2, Tool.Run("inspect", "--json").Json.GetProperty("exit_code").GetInt32());
    }

    [Fact]
    public void Verbose_shows_where_an_error_comes_from()
    {
        ToolRun run = Tool.Run("inspect", "nowhere", "--verbose");
        Assert.Equal(2, run.Code);
        Assert.Contains("   at Dvp.Evaluation.Inspector", run.Error);
    }

    [Fact]
    public void A_failed_command_leaves_an_earlier_result_alone()
    {
        using TemporaryFolder folder = new();
        string output = folder["o.safetensors"];
        File.WriteAllText(output, "earlier");
        Tool.AssertFails(2, "nothing", "preprocess", "--image", folder["nothing.png"], "--output", output);
        Assert.Equal("earlier", File.ReadAllText(output));
        Assert.Equal(["o.safetensors"], folder.FileNames);
    }

    [Fact]
    public void An_unwritable_output_is_one_sentence()
    {
        string image = Directory.GetFiles(Path.Combine(Fixtures.RepositoryRoot, "samples", "easy-vqa", "data", "images"))[0];
        Tool.AssertFails(2, "/proc/nowhere/o.safetensors", "preprocess", "--image", image, "--output", "/proc/nowhere/o.safetensors");
    }

    [Fact]
    public void A_full_disk_is_one_sentence()
    {
        string image = Directory.GetFiles(Path.Combine(Fixtures.RepositoryRoot, "samples", "easy-vqa", "data", "images"))[0];
        Tool.AssertFails(2, "/dev/full", "preprocess", "--image", image, "--output", "/dev/full");
    }

    [Theory]
    [InlineData("auto", DeviceKind.Auto, 0)]
    [InlineData("cpu", DeviceKind.Cpu, 0)]
    [InlineData("cuda", DeviceKind.Cuda, 0)]
    [InlineData("cuda:3", DeviceKind.Cuda, 3)]
    public void Devices_are_read(string text, DeviceKind kind, int index)
    {
        Assert.True(DeviceChoice.TryParse(text, out DeviceChoice choice));
        Assert.Equal(new DeviceChoice(kind, index), choice);
    }

    [Theory]
    [InlineData("")]
    [InlineData("gpu")]
    [InlineData("cuda:")]
    [InlineData("cuda:-1")]
    [InlineData("CPU")]
    public void Other_words_are_no_devices(string text) => Assert.False(DeviceChoice.TryParse(text, out _));

    [Fact]
    public void A_GPU_that_is_not_there_is_an_error_and_never_the_CPU()
    {
        DvpException error = Assert.Throws<DvpException>(() => new DeviceChoice(DeviceKind.Cuda, 99).Open());
        Assert.Equal(DvpExitCode.NoDevice, error.ExitCode);
        Assert.Contains("cuda:99", error.Message);
        List<string> notes = [];
        using Engine.Devices.Backend backend = new DeviceChoice(DeviceKind.Auto, 99).Open(1, note: notes.Add);
        Assert.StartsWith("cpu (1 thread", backend.Name);
    }
}
