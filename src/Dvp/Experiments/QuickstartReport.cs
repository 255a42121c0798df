using System.Diagnostics;
using System.Globalization;
using Dvp.Evaluation;
using Dvp.Models.Clip;
using Dvp.Models.Images;
using Dvp.Profiling;
using Dvp.Prompting;
using Dvp.Reporting;
using Dvp.Search;
using Dvp.Tasks.Vqa;
using Dvp.Training;

namespace Dvp.Experiments;

/// <summary>Gathers what a quickstart measures into its report.</summary>
internal sealed class QuickstartReport(VqaExperiment experiment, QuickstartOptions options, PhaseClock clock)
{
    private const int ExampleCount = 8;
    private readonly List<string> _findings = [];
    private readonly List<Curve> _losses = [];
    private readonly List<Curve> _accuracies = [];
    private readonly List<MemoryUse> _memory = [];
    private readonly List<LatencyRow> _latency = [];
    private readonly List<ReportExample> _examples = [];
    private readonly List<ReportFact> _lossScales = [];
    private SearchReport? _search;
    private AccuracyReport? _accuracy;

    /// <summary>Takes over what a search did.</summary>
    public void Searched(ILayerSearch search, RunState state, int layer)
    {
        _search = SearchSummary.Of(search, state, layer);
        _losses.Add(Smoothed("search", state.Losses));
        _lossScales.AddRange(LossScaleFact.Of("search", state));
        if (_search.Finding is { } finding)
        {
            _findings.Add(finding);
        }
    }

    /// <summary>Takes over what a training did.</summary>
    public void Trained(string phase, TrainedRun run)
    {
        _losses.Add(Smoothed(phase, run.Trainer.State.Losses));
        _lossScales.AddRange(LossScaleFact.Of(phase, run.Trainer.State));
        _accuracies.Add(new Curve(phase, [.. run.Trainer.State.Accuracies.Select(p => new CurvePoint(p.Step, 100 * p.Value))]));
        if (phase == "train")
        {
            Memory("weights", run.Loaded.Parameters.ValueBytes);
            Memory("activations and gradients", run.Trainer.Graphs.ActivationBytes);
            Memory("optimiser", run.Trainer.OptimizerBytes);
        }
    }

    /// <summary>Notes memory of a kind.</summary>
    public void Memory(string kind, long bytes) => _memory.Add(new MemoryUse(kind, bytes));

    /// <summary>Notes the results of every layer, in order.</summary>
    public void Exhaustive(IReadOnlyList<double[]> scores)
    {
        LayerComparison comparison = BeyondChance.Layers(scores);
        _search = _search! with
        {
            Exhaustive = [.. comparison.Layers.Select((interval, l) => new LayerResult(l, interval.Times(100), comparison.LeadShare[l]))],
            ExhaustiveFinding = comparison.Sentence,
        };
        _findings.Add(comparison.Sentence);
    }

    /// <summary>Notes the test scores of the model and what it is compared with.</summary>
    public void Accuracies(VqaSplit split, double[] scores, double[] textOnly, double[] majority)
    {
        (string Name, double[] Scores)[] systems = [("DVP", scores), ("text only", textOnly), ("majority answer", majority)];
        IReadOnlyList<GroupAccuracy>[] byType = [.. systems.Select(s => AccuracyByType.ByQuestionType(split, s.Scores))];
        _accuracy = new AccuracyReport
        {
            Split = split.Name,
            Questions = split.Examples.Count,
            Systems = [.. systems.Select(s => new SystemAccuracy(s.Name, Bootstrap.Mean(s.Scores).Times(100)))],
            ByType = [.. byType[0].Select((group, i) => new TypeAccuracy(
                group.Group, group.Count, [.. byType.Select(system => system[i].Accuracy.Times(100))]))],
        };
        Interval gain = Bootstrap.Difference(scores, textOnly).Times(100);
        _findings.Add(string.Create(CultureInfo.InvariantCulture,
            $"Seeing the picture is worth {gain.Mean:F1} points over the same training on the text alone (95 % interval {gain.Low:F1} to {gain.High:F1})."));
    }

    /// <summary>Answers some test questions with the saved model, and measures how long an answer takes.</summary>
    public int Demonstrate(string dvpFolder, int layer)
    {
        VqaSplit test = experiment.Data.Split("test");
        using DvpModel model = DvpModel.Load(
            experiment.Paths.LanguageModel, experiment.Paths.VisionModel, dvpFolder, experiment.Backend);
        int step = Math.Max(1, test.Examples.Count / ExampleCount);
        for (int e = 0; e < test.Examples.Count && _examples.Count < ExampleCount; e += step)
        {
            VqaExample example = test.Examples[e];
            Prediction prediction = model.Answer(example.ImagePath, example.Question, count: 3);
            DecodedImage picture = ImageDecoder.Decode(example.ImagePath);
            _examples.Add(new ReportExample
            {
                Question = example.Question,
                Answers = [.. prediction.Answers.Select(a => new AnswerProbability(a.Text, a.Probability))],
                TrueAnswer = example.MajorityAnswer,
                Picture = new ReportPicture(File.ReadAllBytes(example.ImagePath), picture.Width, picture.Height),
                Attention = prediction.Heads > 0
                    ? AttentionGrid.FromHeads(prediction.Attention, prediction.Heads, prediction.VisualTokens)
                    : null,
            });
        }

        VqaExample first = test.Examples[0];
        Measure("one answer, picture file to text", 1, () => model.Answer(first.ImagePath, first.Question));
        foreach (int batch in (int[])[1, 16, 64])
        {
            MeasureForward(model, layer, batch);
        }

        return _examples.Count;
    }

    /// <summary>Writes the report.</summary>
    public (RunReport Report, string Path) Save(string folder, int layer, long peakBytes)
    {
        Memory("process, at most", peakBytes);
        Preset preset = options.Preset;
        RunReport report = new()
        {
            Title = "Dynamic Visual Prompting: quickstart",
            Created = DateTimeOffset.UtcNow,
            Preset = preset.Name,
            Findings = _findings,
            Configuration =
            [
                new ReportFact("preset", preset.Description),
                new ReportFact("language model", $"{experiment.Paths.LanguageModel}: BERT, {experiment.Language.Layers} layers of {experiment.Language.HiddenSize}"),
                new ReportFact("visual encoder", $"{experiment.Paths.VisionModel}: {experiment.Features.Tokens} tokens of {experiment.Features.Channels}"),
                new ReportFact("data", $"{experiment.Paths.Data}: {experiment.Split("train").Set.Count} questions to train on, {experiment.Vocabulary.Count} answers"),
                new ReportFact("device", experiment.Backend.Name),
                new ReportFact("insertion layer K", layer.ToString(CultureInfo.InvariantCulture)),
                new ReportFact("search", preset.Search.Identity()),
                new ReportFact("training", preset.Train.Identity()),
                new ReportFact("seed", preset.Train.Seed.ToString(CultureInfo.InvariantCulture)),
                .. _lossScales,
            ],
            Search = _search,
            Training = new TrainingReport { Loss = _losses, Accuracy = _accuracies },
            Accuracy = _accuracy,
            Flops = Flops(layer),
            Latency = _latency,
            Phases = [.. clock.Phases.Select(p => new PhaseTime(p.Name, p.Seconds))],
            Memory = _memory,
            Examples = _examples,
        };
        return (report, ReportWriter.Save(report, folder));
    }

    private void MeasureForward(DvpModel model, int layer, int batch)
    {
        VqaTrainingData test = experiment.Split("test");
        int[] examples = [.. Enumerable.Range(0, Math.Min(batch, test.Set.Count))];
        Predictor predictor = model.Predictor(batch);
        TrainingSet some = test.Set.Subset(examples);
        Measure("forward from cached features", batch, () => predictor.Logits(some, layer));
    }

    private void Measure(string what, int batch, Action action)
    {
        const int warm = 3;
        const int runs = 15;
        double[] milliseconds = new double[runs];
        for (int i = -warm; i < runs; i++)
        {
            long start = Stopwatch.GetTimestamp();
            action();
            if (i >= 0)
            {
                milliseconds[i] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            }
        }

        Array.Sort(milliseconds);
        _latency.Add(new LatencyRow(what, batch, milliseconds[runs / 2], milliseconds[(int)(0.95 * (runs - 1))]));
    }

    private FlopsReport Flops(int layer)
    {
        FlopsSettings settings = new()
        {
            Bert = experiment.Language,
            Dvp = experiment.Configuration(PromptKind.Dynamic, layer, adapters: true),
            Layer = layer,
            TextTokens = options.Preset.TextLength,
            VisualTokens = experiment.Features.Tokens,
            Vision = ClipVisionConfig.Load(experiment.Paths.VisionModel),
        };
        IReadOnlyList<FlopsTable> forms = FlopsModel.CountForms(settings);
        List<(FlopsPart Part, string Op)> ops = [];
        foreach (Profiling.FlopsRow row in forms.SelectMany(f => f.Rows))
        {
            if (!ops.Contains((row.Part, row.Op)))
            {
                ops.Add((row.Part, row.Op));
            }
        }

        double Of(int form, (FlopsPart Part, string Op) op) =>
            forms[form].Rows.Where(r => (r.Part, r.Op) == op).Sum(r => (double)r.ForwardFlops);
        return new FlopsReport(
            string.Create(CultureInfo.InvariantCulture, $"Forward, one example, {options.Preset.TextLength} text tokens, K = {layer}; the last layer computes the row that is read."),
            [.. ops.Select(op => new Reporting.FlopsRow($"{FlopsTable.PartName(op.Part)}: {op.Op}", Of(0, op), Of(1, op), Of(2, op)))]);
    }

    /// <summary>A loss curve of at most 100 points, each the mean of its stretch.</summary>
    internal static Curve Smoothed(string name, List<StepValue> losses)
    {
        int stretch = Math.Max(1, losses.Count / 100);
        return new Curve(name, [.. losses.Chunk(stretch).Select(c => new CurvePoint(c[^1].Step, c.Average(p => p.Value)))]);
    }
}
