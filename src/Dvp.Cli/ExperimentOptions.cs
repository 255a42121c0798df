using System.CommandLine;
using Dvp.Engine;
using Dvp.Experiments;
using Dvp.Search;

namespace Dvp.Cli;

/// <summary>The options of the commands that work on a data set with two models.</summary>
internal sealed class ExperimentOptions
{
    private const string SampleFolder = "samples/easy-vqa";
    private readonly Option<string?> _language;
    private readonly Option<string?> _vision;
    private readonly Option<string?> _data;
    private readonly Option<string?> _features;
    private readonly DeviceOptions _device;

    /// <summary>Adds the options to a command.</summary>
    public ExperimentOptions(DvpCommand command)
    {
        _language = command.With(CommonOptions.Text(
            "--language-model", "Hugging Face folder of the language model. Default: the sample's.", "folder"));
        _vision = command.With(CommonOptions.Text(
            "--vision-model", "Hugging Face folder of the vision model. Default: the sample's.", "folder"));
        _data = command.With(CommonOptions.Text(
            "--data", "Data folder: a dataset.json, or VQA v2.0 files under their own names. Default: the sample's.", "folder"));
        _features = command.With(CommonOptions.Text(
            "--features", "Feature store to use, or to make where there is none. Default: features in the run folder.", "folder"));
        _device = new DeviceOptions(command);
    }

    /// <summary>Models and data, with the sample's for what was not given.</summary>
    public ExperimentPaths Paths(ParseResult parse)
    {
        (string? language, string? vision, string? data) = (parse.GetValue(_language), parse.GetValue(_vision), parse.GetValue(_data));
        if (language is not null && vision is not null && data is not null)
        {
            return new ExperimentPaths(language, vision, data);
        }

        ExperimentPaths sample = Sample();
        return new ExperimentPaths(language ?? sample.LanguageModel, vision ?? sample.VisionModel, data ?? sample.Data);
    }

    /// <summary>The feature store, or null for the default.</summary>
    public string? Features(ParseResult parse) => parse.GetValue(_features);

    /// <summary>Opens the device.</summary>
    public Engine.Devices.Backend Open(ParseResult parse, CommandOutput output) => _device.Open(parse, output);

    /// <summary>The sample: under the current folder or one above it, or above the program.</summary>
    /// <exception cref="DvpException">It is not there.</exception>
    public static ExperimentPaths Sample()
    {
        foreach (string start in new[] { Directory.GetCurrentDirectory(), AppContext.BaseDirectory })
        {
            for (DirectoryInfo? at = new(start); at is not null; at = at.Parent)
            {
                string folder = Path.Combine(at.FullName, SampleFolder);
                if (Directory.Exists(folder))
                {
                    return ExperimentPaths.InFolder(Path.GetRelativePath(Directory.GetCurrentDirectory(), folder));
                }
            }
        }

        throw new DvpException(
            $"The sample {SampleFolder} is not in this folder or above it; run this in a checkout, or give --language-model, "
                + "--vision-model and --data.");
    }
}

/// <summary>The options that choose and change a recipe.</summary>
internal sealed class RecipeOptions
{
    private readonly Option<string> _preset;
    private readonly Option<int> _seed;
    private readonly Option<bool> _recompute;
    private readonly Option<int?>? _steps;
    private readonly Option<int?>? _batch;
    private readonly Option<double?>? _rate;
    private readonly Option<double?>? _head;
    private readonly Option<double?>? _clip;
    private readonly Option<int?>? _evaluate;
    private readonly Option<int?>? _checkpoint;
    private readonly Option<int?>? _patience;
    private readonly Option<string>? _strategy;
    private readonly Option<int?>? _searchSteps;
    private readonly Option<int?>? _samples;

    /// <summary>Adds the options to a command.</summary>
    /// <param name="command">The command.</param>
    /// <param name="trains">Whether it trains a model at one layer.</param>
    /// <param name="searches">Whether it searches for a layer.</param>
    public RecipeOptions(DvpCommand command, bool trains, bool searches)
    {
        _preset = command.With(CommonOptions.OneOf("--preset", "Recipe:", "sample", [.. Preset.Names]));
        _seed = command.With(CommonOptions.Integer("--seed", "Seed of initial values, order and dropout.", 0, int.MaxValue, 1));
        _recompute = command.With(CommonOptions.Switch(
            "--recompute-layers",
            "Keeps only the result of every layer and computes the layer again in the backward pass: less memory, more time, the same bits. "
                + "Default: off."));
        if (searches)
        {
            _strategy = command.With(CommonOptions.OneOf(
                "--strategy", "How the layer is searched:", KabApp.StrategyName, [.. LayerSearches.Names]));
            _searchSteps = command.With(CommonOptions.OptionalInteger(
                "--search-steps", "Optimiser steps of the search.", 1, 10_000_000, "the preset's"));
            _samples = command.With(CommonOptions.OptionalInteger(
                "--samples", "Layers scored in each step of the search.", 1, 1000, "the preset's"));
        }

        if (trains)
        {
            _steps = command.With(CommonOptions.OptionalInteger(
                "--steps", "Optimiser steps of the training.", 1, 10_000_000, "the preset's"));
            _batch = command.With(CommonOptions.OptionalInteger("--batch", "Examples a step.", 1, 65536, "the preset's"));
            _rate = command.With(CommonOptions.OptionalNumber("--rate", "Largest learning rate.", 0, 1, "the preset's"));
            _head = command.With(CommonOptions.OptionalNumber(
                "--head-rate", "Factor on the head's learning rate.", 0, 1000, "the preset's"));
            _clip = command.With(CommonOptions.OptionalNumber(
                "--clip", "Largest norm of the gradients; 0 does not clip.", 0, 1_000_000, "the preset's"));
            _evaluate = command.With(CommonOptions.OptionalInteger(
                "--evaluate-every", "Steps between evaluations on held-out questions; 0 for none.", 0, 10_000_000, "the preset's"));
            _checkpoint = command.With(CommonOptions.OptionalInteger(
                "--checkpoint-every", "Steps between checkpoints; 0 for one at the end.", 0, 10_000_000, "the preset's"));
            _patience = command.With(CommonOptions.OptionalInteger(
                "--patience", "Evaluations without a better one after which training stops; 0 for never.", 0, 1000, "the preset's"));
        }
    }

    /// <summary>The recipe.</summary>
    public Preset Recipe(ParseResult parse)
    {
        Preset preset = Preset.Of(parse.GetValue(_preset)!).WithSeed((ulong)parse.GetValue(_seed));
        if (parse.GetValue(_recompute))
        {
            preset = preset.WithRecomputedLayers();
        }

        if (_searchSteps is not null && parse.GetValue(_searchSteps) is { } searchSteps)
        {
            preset = preset with { Search = preset.Search with { Steps = searchSteps } };
        }

        if (_samples is not null && parse.GetValue(_samples) is { } samples)
        {
            preset = preset with { SearchSamples = samples };
        }

        return _steps is null ? preset : preset with
        {
            Train = preset.Train with
            {
                Steps = parse.GetValue(_steps) ?? preset.Train.Steps,
                Batch = parse.GetValue(_batch!) ?? preset.Train.Batch,
                LearningRate = parse.GetValue(_rate!) ?? preset.Train.LearningRate,
                HeadMultiplier = (float?)parse.GetValue(_head!) ?? preset.Train.HeadMultiplier,
                MaxNorm = (float?)parse.GetValue(_clip!) ?? preset.Train.MaxNorm,
                EvaluateEvery = parse.GetValue(_evaluate!) ?? preset.Train.EvaluateEvery,
                CheckpointEvery = parse.GetValue(_checkpoint!) ?? preset.Train.CheckpointEvery,
                Patience = parse.GetValue(_patience!) ?? preset.Train.Patience,
            },
        };
    }

    /// <summary>The strategy of the search.</summary>
    public string Strategy(ParseResult parse) => _strategy is null ? KabApp.StrategyName : parse.GetValue(_strategy)!;
}

/// <summary>The options of a run folder.</summary>
internal sealed class RunOptions
{
    private readonly Option<string> _run;
    private readonly Option<bool> _resume;

    /// <summary>Adds the options to a command.</summary>
    public RunOptions(DvpCommand command)
    {
        _run = command.With(CommonOptions.Text(
            "--run", "Run folder; where it is taken, a number is added.", "folder", $"runs/{command.Name}"));
        _resume = command.With(CommonOptions.Switch("--resume", "Goes on with the run in the run folder. Default: a new run."));
    }

    /// <summary>Whether a run goes on.</summary>
    public bool Resumes(ParseResult parse) => parse.GetValue(_resume);

    /// <summary>The folder: of the run to go on with, or the first name that is free.</summary>
    public string Folder(ParseResult parse)
    {
        string given = parse.GetValue(_run)!;
        return Resumes(parse) ? given : RunFolder.Free(given);
    }

    /// <summary>Does long work that Ctrl-C can stop, and says how to go on after that.</summary>
    public T Stoppable<T>(CliHost host, string folder, Func<CancellationToken, T> work)
    {
        using Interruption interruption = new(host);
        try
        {
            return work(interruption.Token);
        }
        catch (DvpException stopped) when (stopped.ExitCode == DvpExitCode.Interrupted)
        {
            throw new DvpException(
                $"{stopped.Message} To go on: the same command with --run {folder} --resume.", stopped, DvpExitCode.Interrupted);
        }
    }
}
