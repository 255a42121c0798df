using Dvp.Evaluation;
using Dvp.Reporting;

namespace Dvp.Tests.Reporting;

/// <summary>A report with every section filled, from made-up numbers and pictures of the sample.</summary>
internal static class SampleReport
{
    public const string Hostile = "is <b>\"this\"</b> a </script><script>alert('x')</script> & shape?";

    public static string PicturePath { get; } =
        Path.Combine(Fixtures.RepositoryRoot, "samples", "easy-vqa", "data", "images", "easy_test_000000000000.png");

    public static ReportPicture Picture { get; } = new(File.ReadAllBytes(PicturePath), 64, 64);

    public static AttentionGrid Attention { get; } = new(
        8, 8, [.. Enumerable.Range(0, 64).Select(i => (float)Math.Exp(-(Math.Pow((i % 8) - 5, 2) + Math.Pow((i / 8) - 2, 2)) / 3))]);

    public static RunReport Build()
    {
        Random random = new(1);
        string[] types = ["is there", "does the", "what is", "what shape", "is no", "is a", "what color"];
        return new RunReport
        {
            Title = "DVP quickstart: easy-VQA",
            Created = new DateTimeOffset(2026, 3, 1, 12, 30, 0, TimeSpan.Zero),
            Preset = "sample",
            Findings = ["The search is short and the six layers end close together: the choice of layer is not beyond chance."],
            Configuration = [new("command", "dvp quickstart"), new("seed", "1"), new("question", Hostile), new("batch", "16")],
            Search = new SearchReport
            {
                Algorithm = "KAB-APP",
                Layer = 3,
                Preferences = [.. Enumerable.Range(0, 120).Select(s => new PreferencePoint(
                    s, [.. Enumerable.Range(0, 6).Select(l => 0.004 * s * Math.Sin(l) * random.NextDouble())]))],
                Rewards = [.. Enumerable.Range(0, 6).Select(l => new LayerReward(l, 90 + l, 0.8 - (0.3 * l), 70 + l, 1 / 6.0))],
                BeyondChance = false,
                Finding = "After 120 steps the search prefers layer 3 with probability 0.181: the preference is not beyond chance.",
                Exhaustive = [.. Enumerable.Range(0, 6).Select(l => new LayerResult(
                    l, new Interval(92 + (0.4 * l), 90.4 + (0.4 * l), 93.5 + (0.4 * l)), 1 / 6.0))],
                ExhaustiveFinding = "Layer 5 leads: the choice is not beyond chance.",
            },
            Training = new TrainingReport
            {
                Loss = [new Curve("train", [.. Enumerable.Range(0, 900).Select(s => new CurvePoint(
                    s, (3 * Math.Exp(-s / 200.0)) + random.NextDouble()))])],
                Accuracy =
                [
                    new Curve("DVP", [.. Enumerable.Range(1, 10).Select(s => new CurvePoint(90 * s, 93 - (40 * Math.Exp(-s / 2.0))))]),
                    new Curve("text only", [.. Enumerable.Range(1, 10).Select(s => new CurvePoint(90 * s, 63 - (20 * Math.Exp(-s))))]),
                ],
            },
            Accuracy = new AccuracyReport
            {
                Split = "test",
                Questions = 1244,
                Systems =
                [
                    new("DVP", new(93.2, 91.8, 94.5)), new("text only", new(63.9, 61.2, 66.5)), new("majority", new(35.7, 33.0, 38.4)),
                ],
                ByType = [.. types.Select((t, i) => new TypeAccuracy(t, 448 / (i + 1),
                    [new(95 - i, 92 - i, 97 - i), new(64 - i, 60 - i, 69 - i), new(30 + i, 26 + i, 36 + i)]))],
            },
            Flops = new FlopsReport("BERT, 6 layers of 384, K = 3, 12 text tokens, 65 visual tokens",
                [new("language model", 260e6, 260e6, 1500e6), new("prompt attention", 2.1e6, 31.5e6, 0), new("head", 0.6e6, 0.6e6, 0.6e6)]),
            Latency = [new("forward from cached features", 1, 2.31, 2.6), new("forward from cached features", 16, 19.7, 21.2)],
            Phases = [new("features", 6.1), new("search", 31.2), new("training", 70.9), new("evaluation", 3.3)],
            Memory = [new("weights", 48_000_000), new("activations", 21_000_000), new("optimiser", 9_500_000), new("features", 22_000_000)],
            Examples = [.. Enumerable.Range(0, 3).Select(i => new ReportExample
            {
                Question = i == 1 ? Hostile : "what shape is in the image?",
                Answers = [new("rectangle", 0.91), new("circle", 0.06), new("triangle", 0.02)],
                TrueAnswer = i == 0 ? "rectangle" : "circle",
                Picture = Picture,
                Attention = Attention,
            })],
        };
    }
}
