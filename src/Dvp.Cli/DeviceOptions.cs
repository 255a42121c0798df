using System.CommandLine;
using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;
using Dvp.Settings;

namespace Dvp.Cli;

/// <summary>The options that choose a device and how it computes.</summary>
internal sealed class DeviceOptions
{
    private readonly Option<DeviceChoice> _device;
    private readonly Option<string?> _type;
    private readonly Option<int> _threads;

    /// <summary>Adds the options to a command.</summary>
    public DeviceOptions(DvpCommand command)
    {
        _device = command.With(CommonOptions.Device());
        _type = command.With(CommonOptions.OptionalOneOf(
            "--dtype",
            "Type of activations and frozen weights on a GPU, of frozen matrices on the CPU (which computes in f32):",
            "bf16 on a GPU, f32 on the CPU", "f32", "bf16", "f16"));
        _threads = command.With(CommonOptions.Threads());
    }

    /// <summary>CPU threads asked for; 0 for all that the process may use.</summary>
    public int Threads(ParseResult parse) => parse.GetValue(_threads);

    /// <summary>Opens the device; where it was chosen by auto, a note says which one it is.</summary>
    public Backend Open(ParseResult parse, CommandOutput output)
    {
        DeviceChoice choice = parse.GetValue(_device);
        ElementType? type = parse.GetValue(_type) switch
        {
            "f32" => ElementType.F32,
            "bf16" => ElementType.BF16,
            "f16" => ElementType.F16,
            _ => null,
        };
        return choice.Open(parse.GetValue(_threads), type, output.Note);
    }
}
