using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Dvp.Settings;

namespace Dvp.Cli;

/// <summary>
/// Options that commands share, and makers of options whose help states range and default and whose errors name the flag.
/// </summary>
internal static class CommonOptions
{
    public const string JsonName = "--json";
    public const string VerboseName = "--verbose";

    /// <summary>The device option.</summary>
    public static Option<DeviceChoice> Device()
    {
        Option<DeviceChoice> option = new("--device")
        {
            Description = "auto, cpu, cuda or cuda:n. auto takes a GPU where there is one; cuda never falls back to the CPU. "
                + $"Default: {DvpEnvironment.DeviceName}, else auto.",
            HelpName = "device",
            DefaultValueFactory = _ => DvpEnvironment.Device,
            CustomParser = result => DeviceChoice.TryParse(result.Tokens[0].Value, out DeviceChoice choice)
                ? choice
                : Fail<DeviceChoice>(result, "auto, cpu, cuda or cuda:n"),
        };
        option.CompletionSources.Add("auto", "cpu", "cuda");
        return option;
    }

    /// <summary>The thread option.</summary>
    public static Option<int> Threads() => Integer(
        "--threads",
        $"CPU threads, the caller included. Default: {DvpEnvironment.ThreadsName}, else all that the process may use.",
        1,
        1024,
        _ => DvpEnvironment.Threads);

    /// <summary>A path or any text that must be given.</summary>
    public static Option<string> Required(string name, string help, string helpName) => new(name)
    {
        Description = help,
        HelpName = helpName,
        Required = true,
    };

    /// <summary>A path or any text that may be absent.</summary>
    public static Option<string?> Text(string name, string help, string helpName) => new(name) { Description = help, HelpName = helpName };

    /// <summary>A path or any text with a default.</summary>
    public static Option<string> Text(string name, string help, string helpName, string absent) => new(name)
    {
        Description = $"{help} Default: {absent}.",
        HelpName = helpName,
        DefaultValueFactory = _ => absent,
    };

    /// <summary>A switch that is off.</summary>
    public static Option<bool> Switch(string name, string help) => new(name) { Description = help };

    /// <summary>One of some words.</summary>
    public static Option<string> OneOf(string name, string help, string absent, params string[] values)
    {
        Option<string> option = new(name)
        {
            Description = $"{help} {List(values)}. Default: {absent}.",
            HelpName = string.Join('|', values),
            DefaultValueFactory = _ => absent,
            CustomParser = result => values.Contains(result.Tokens[0].Value) ? result.Tokens[0].Value : Fail<string>(result, List(values)),
        };
        option.CompletionSources.Add(values);
        return option;
    }

    /// <summary>One of some words, or none; the help says what then holds.</summary>
    public static Option<string?> OptionalOneOf(string name, string help, string absent, params string[] values)
    {
        Option<string?> option = new(name)
        {
            Description = $"{help} {List(values)}. Default: {absent}.",
            HelpName = string.Join('|', values),
            CustomParser = result => values.Contains(result.Tokens[0].Value) ? result.Tokens[0].Value : Fail<string?>(result, List(values)),
        };
        option.CompletionSources.Add(values);
        return option;
    }

    /// <summary>A whole number with a default.</summary>
    public static Option<int> Integer(string name, string help, int least, int most, int absent) => Integer(
        name, string.Create(CultureInfo.InvariantCulture, $"{help} {least} to {most}. Default: {absent}."), least, most, _ => absent);

    /// <summary>A whole number that may be absent; the help says what then holds.</summary>
    public static Option<int?> OptionalInteger(string name, string help, int least, int most, string absent) => new(name)
    {
        Description = string.Create(CultureInfo.InvariantCulture, $"{help} {least} to {most}. Default: {absent}."),
        HelpName = "n",
        CustomParser = result => Whole(result, least, most),
    };

    /// <summary>A number that may be absent; the help says what then holds.</summary>
    public static Option<double?> OptionalNumber(string name, string help, double least, double most, string absent) => new(name)
    {
        Description = string.Create(CultureInfo.InvariantCulture, $"{help} {least} to {most}. Default: {absent}."),
        HelpName = "x",
        CustomParser = result => Real(result, least, most),
    };

    /// <summary>A number with a default.</summary>
    public static Option<double> Number(string name, string help, double least, double most, double absent) => new(name)
    {
        Description = string.Create(CultureInfo.InvariantCulture, $"{help} {least} to {most}. Default: {absent}."),
        HelpName = "x",
        DefaultValueFactory = _ => absent,
        CustomParser = result => Real(result, least, most) ?? absent,
    };

    private static Option<int> Integer(string name, string help, int least, int most, Func<ArgumentResult, int> absent) => new(name)
    {
        Description = help,
        HelpName = "n",
        DefaultValueFactory = absent,
        CustomParser = result => Whole(result, least, most) ?? 0,
    };

    private static int? Whole(ArgumentResult result, int least, int most) =>
        int.TryParse(result.Tokens[0].Value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int value)
            && value >= least && value <= most
            ? value
            : Fail<int?>(result, string.Create(CultureInfo.InvariantCulture, $"a whole number from {least} to {most}"));

    private static double? Real(ArgumentResult result, double least, double most) =>
        double.TryParse(result.Tokens[0].Value, NumberStyles.Float, CultureInfo.InvariantCulture, out double value)
            && value >= least && value <= most
            ? value
            : Fail<double?>(result, string.Create(CultureInfo.InvariantCulture, $"a number from {least} to {most}"));

    private static T Fail<T>(ArgumentResult result, string wanted)
    {
        string flag = result.Parent is OptionResult option ? option.Option.Name : result.Argument.Name;
        result.AddError($"{flag} is \"{result.Tokens[0].Value}\", but it must be {wanted}");
        return default!;
    }

    private static string List(string[] values) => values.Length == 1 ? values[0] : $"{string.Join(", ", values[..^1])} or {values[^1]}";
}
