using Dvp.Engine;

namespace Dvp.Search;

/// <summary>A table of known layers to judge search strategies on.</summary>
/// <param name="Means">(L) the true accuracy of each layer, in [0, 1].</param>
/// <param name="BatchSize">Questions in a mini-batch: a score is 100 times a binomial share of so many.</param>
/// <param name="Samples">S, layers scored in a step.</param>
/// <param name="Steps">Steps of a search.</param>
/// <param name="Repetitions">Searches that are averaged.</param>
/// <param name="Seed">Seed of draws and noise.</param>
public sealed record RegretSettings(IReadOnlyList<double> Means, int BatchSize, int Samples, int Steps, int Repetitions, ulong Seed = 0)
{
    /// <summary>Twelve layers with one five points ahead: what any search must find.</summary>
    public static RegretSettings Clear { get; } =
        new([0.50, 0.51, 0.52, 0.53, 0.54, 0.55, 0.56, 0.57, 0.62, 0.57, 0.56, 0.54],
        BatchSize: 128, Samples: 5, Steps: 300, Repetitions: 30);

    /// <summary>Twelve layers with the best half a point ahead, as trained layers tend to lie.</summary>
    public static RegretSettings Close { get; } =
        new([0.500, 0.512, 0.520, 0.527, 0.533, 0.538, 0.542, 0.545, 0.550, 0.545, 0.541, 0.530],
        BatchSize: 128, Samples: 5, Steps: 1000, Repetitions: 30);

    /// <summary>Constants of KAB-APP.</summary>
    public KabAppRule KabApp { get; init; } = KabAppRule.Default;

    /// <summary>Numbers of steps at which the curves are read; null for about ten, evenly spaced on a logarithmic scale.</summary>
    public IReadOnlyList<int>? Checkpoints { get; init; }
}

/// <summary>One point of a strategy's curve, averaged over the repetitions.</summary>
/// <param name="Step">Steps taken.</param>
/// <param name="Scores">Scores taken: the cost.</param>
/// <param name="SimpleRegret">What the layer chosen now lacks to the best, in points of accuracy.</param>
/// <param name="StandardError">Of <paramref name="SimpleRegret"/>.</param>
/// <param name="BestShare">Share of the searches that would choose the best layer now.</param>
/// <param name="MeanScoreRegret">What the layers scored so far lack to the best, in points, on average a score.</param>
public sealed record RegretPoint(
    int Step, double Scores, double SimpleRegret, double StandardError, double BestShare, double MeanScoreRegret);

/// <summary>The curve of one strategy.</summary>
/// <param name="Strategy">Its name.</param>
/// <param name="Points">One for each checkpoint.</param>
public sealed record RegretCurve(string Strategy, IReadOnlyList<RegretPoint> Points);

/// <summary>
/// Runs search strategies on layers whose accuracies are known, with binomial noise, and reports regret against steps. All strategies
/// score the same number of layers a step, so that exhaustive search stands beside them at equal cost.
/// </summary>
public static class RegretSimulation
{
    /// <summary>Runs the strategies.</summary>
    /// <param name="settings">The table and the sizes.</param>
    /// <param name="strategies">Names from <see cref="LayerSearches.Names"/>; all of them when null.</param>
    /// <exception cref="DvpException">A mean is outside [0, 1], or a size is not positive.</exception>
    public static RegretReport Run(RegretSettings settings, IReadOnlyList<string>? strategies = null)
    {
        if (settings.Means.Count == 0 || settings.Means.Any(m => !(m >= 0 && m <= 1)))
        {
            throw new DvpException("The regret table needs at least one layer, and every accuracy in [0, 1].");
        }

        if (settings.BatchSize < 1 || settings.Samples < 1 || settings.Steps < 1 || settings.Repetitions < 1)
        {
            throw new DvpException("Batch size, samples, steps and repetitions of a regret table must be positive.");
        }

        int[] checkpoints = settings.Checkpoints is { } given ? [.. given.Where(c => c >= 1 && c <= settings.Steps)]
            : Spaced(settings.Steps);
        return new RegretReport(settings, [.. (strategies ?? LayerSearches.Names).Select(name => Curve(settings, name, checkpoints))]);
    }

    private static RegretCurve Curve(RegretSettings settings, string name, int[] checkpoints)
    {
        int layers = settings.Means.Count;
        double best = settings.Means.Max();
        double[] simple = new double[checkpoints.Length];
        double[] squares = new double[checkpoints.Length];
        double[] found = new double[checkpoints.Length];
        double[] regret = new double[checkpoints.Length];
        double[] cost = new double[checkpoints.Length];
        for (int repetition = 0; repetition < settings.Repetitions; repetition++)
        {
            // Layers change places from search to search: else strategies that prefer low numbers would gain or lose by it.
            SeededRandom noise = new(settings.Seed + (ulong)repetition, 0x4E015E);
            int[] place = [.. Enumerable.Range(0, layers)];
            noise.Shuffle<int>(place);
            ILayerSearch search = LayerSearches.Create(
                name,
                new SearchSettings(layers, settings.Samples, settings.Steps, settings.Seed + (ulong)repetition)
                { KabApp = settings.KabApp });
            double sum = 0;
            int scores = 0;
            int next = 0;
            for (int step = 1; step <= settings.Steps; step++)
            {
                int[] arms = search.Draw();
                double[] drawn = new double[arms.Length];
                for (int j = 0; j < arms.Length; j++)
                {
                    double mean = settings.Means[place[arms[j]]];
                    int twin = Array.IndexOf(arms, arms[j]); // the same layer on the same batch has the same score
                    drawn[j] = twin < j ? drawn[twin] : 100.0 * Binomial(noise, settings.BatchSize, mean) / settings.BatchSize;
                    sum += best - mean;
                }

                scores += arms.Length;
                search.Update(arms, drawn);
                if (next < checkpoints.Length && checkpoints[next] == step)
                {
                    double lacks = best - settings.Means[place[search.Best]];
                    simple[next] += lacks;
                    squares[next] += lacks * lacks;
                    found[next] += lacks == 0 ? 1 : 0;
                    regret[next] += sum / scores;
                    cost[next] += scores;
                    next++;
                }
            }
        }

        double n = settings.Repetitions;
        return new RegretCurve(name, [.. checkpoints.Select((step, i) =>
        {
            double mean = simple[i] / n;
            double variance = Math.Max(0, (squares[i] / n) - (mean * mean));
            return new RegretPoint(step, cost[i] / n, 100 * mean, 100 * Math.Sqrt(variance / n), found[i] / n, 100 * regret[i] / n);
        })]);
    }

    private static int Binomial(SeededRandom random, int trials, double probability)
    {
        int successes = 0;
        ulong threshold = (ulong)(probability * 4294967296.0);
        for (int i = 0; i < trials; i++)
        {
            successes += random.NextWord() < threshold ? 1 : 0;
        }

        return successes;
    }

    private static int[] Spaced(int steps)
    {
        SortedSet<int> points = [steps];
        for (int step = steps; step >= 1; step = (int)(step / 1.8))
        {
            points.Add(step);
        }

        return [.. points];
    }
}
