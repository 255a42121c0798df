namespace Dvp.Search;

/// <summary>The constants of KAB-APP.</summary>
/// <param name="Step">Factor on reward and weight in an update of alpha.</param>
/// <param name="WeightFactor">Factor on p (1 - p).</param>
/// <param name="Samples">S, the draws of a step.</param>
public sealed record KabAppRule(double Step = 0.005, double WeightFactor = 1, int Samples = 5)
{
    /// <summary>BERT and T5: five draws.</summary>
    public static KabAppRule Default { get; } = new();

    /// <summary>LLaMA: ten draws.</summary>
    public static KabAppRule Llama { get; } = new(Samples: 10);

    /// <summary>
    /// ScienceQA: whole steps at ten times the weight, which commit to a layer within a few updates; scores are
    /// <see cref="KabApp.ScoreOfLoss"/>.
    /// </summary>
    public static KabAppRule ScienceQa { get; } = new(Step: 1, WeightFactor: 10, Samples: 10);
}

/// <summary>
/// What one update of KAB-APP computed, for traces and plots. One entry a draw, but for <paramref name="Probabilities"/>.
/// </summary>
/// <param name="Probabilities">(L) softmax of alpha at the draw.</param>
/// <param name="Arms">The layers drawn.</param>
/// <param name="Scores">Their scores.</param>
/// <param name="MeanScore">Mean of the scores: the baseline.</param>
/// <param name="Rewards">Score less mean.</param>
/// <param name="Weights">WeightFactor p (1 - p) of each draw.</param>
public sealed record KabAppStep(double[] Probabilities, int[] Arms, double[] Scores, double MeanScore, double[] Rewards, double[] Weights);

/// <summary>
/// KAB-APP, the k-armed-bandit search of arXiv 2306.00409: preferences alpha, draws from softmax(alpha), and for each draw j in order
/// alpha[k_j] += step r_j w_j, with r_j the score less the step's mean and w_j = factor p (1 - p), all p from the alpha at the draw.
/// </summary>
/// <remarks>
/// It is a gradient bandit (Sutton and Barto, Reinforcement Learning, section 2.8) with the batch's own mean as baseline, which moves
/// only the preferences of the layers drawn. A layer drawn twice is updated twice with the same weight.
/// </remarks>
public sealed class KabApp : LayerSearch
{
    /// <summary>Its name.</summary>
    public const string StrategyName = "kab-app";

    private readonly double[] _alpha;

    /// <summary>Starts a search with all preferences at zero.</summary>
    /// <param name="layers">L.</param>
    /// <param name="rule">The constants; the default rule when null.</param>
    /// <param name="seed">The run's seed.</param>
    public KabApp(int layers, KabAppRule? rule = null, ulong seed = 0)
        : base(StrategyName, layers, (rule ?? KabAppRule.Default).Samples, seed)
    {
        Rule = rule ?? KabAppRule.Default;
        _alpha = new double[layers];
    }

    /// <summary>The constants.</summary>
    public KabAppRule Rule { get; }

    /// <summary>Alpha.</summary>
    public override double[] Preferences => [.. _alpha];

    /// <summary>(L) softmax(alpha): how likely a draw is to name each layer.</summary>
    public double[] Probabilities => Softmax(_alpha);

    /// <summary>The last update; null before the first.</summary>
    public KabAppStep? LastStep { get; private set; }

    /// <summary>The score of a loss where there is no task metric (ScienceQA): 100 exp(-loss).</summary>
    /// <param name="loss">Mean loss a token.</param>
    public static double ScoreOfLoss(double loss) => 100 * Math.Exp(-loss);

    /// <summary>Sets alpha, as a stored <c>search.alphas</c> gives it.</summary>
    /// <param name="alpha">(L)</param>
    public void SetPreferences(ReadOnlySpan<double> alpha)
    {
        if (alpha.Length != Layers)
        {
            throw new ArgumentException($"{alpha.Length} preferences for {Layers} layers.", nameof(alpha));
        }

        alpha.CopyTo(_alpha);
    }

    /// <inheritdoc/>
    public override int[] Draw()
    {
        double[] probabilities = Probabilities;
        int[] arms = new int[Samples];
        for (int j = 0; j < arms.Length; j++)
        {
            double u = Random.NextDouble();
            int arm = 0;
            double sum = probabilities[0];
            while (u >= sum && arm < Layers - 1)
            {
                sum += probabilities[++arm];
            }

            arms[j] = arm;
        }

        return arms;
    }

    private protected override void Learn(ReadOnlySpan<int> arms, ReadOnlySpan<double> scores)
    {
        double[] probabilities = Probabilities; // alpha has not moved since the draw
        double mean = 0;
        foreach (double score in scores)
        {
            mean += score;
        }

        mean /= scores.Length;
        double[] rewards = new double[arms.Length];
        double[] weights = new double[arms.Length];
        for (int j = 0; j < arms.Length; j++)
        {
            double p = probabilities[arms[j]];
            rewards[j] = scores[j] - mean;
            weights[j] = Rule.WeightFactor * p * (1 - p);
            _alpha[arms[j]] += Rule.Step * rewards[j] * weights[j];
        }

        LastStep = new KabAppStep(probabilities, arms.ToArray(), scores.ToArray(), mean, rewards, weights);
    }

    private protected override double[] SaveValues() => Preferences;

    private protected override bool RestoreValues(double[] values)
    {
        if (values.Length != Layers)
        {
            return false;
        }

        values.CopyTo(_alpha, 0);
        return true;
    }

    private static double[] Softmax(ReadOnlySpan<double> values)
    {
        double largest = values[IndexOfLargest(values)];
        double[] result = new double[values.Length];
        double sum = 0;
        for (int i = 0; i < result.Length; i++)
        {
            result[i] = Math.Exp(values[i] - largest);
            sum += result[i];
        }

        for (int i = 0; i < result.Length; i++)
        {
            result[i] /= sum;
        }

        return result;
    }
}
