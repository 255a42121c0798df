using BenchmarkDotNet.Attributes;
using Dvp.Evaluation;
using Dvp.Tasks.Vqa;

namespace Dvp.Benchmarks;

/// <summary>VQA's official accuracy on the sample's 1,244 test questions.</summary>
[MemoryDiagnoser]
public class MetricBenchmarks
{
    private VqaSplit _split = null!;
    private AnswerVocabulary _vocabulary = null!;
    private VqaScorer _scorer = null!;
    private double[] _scores = [];

    [GlobalSetup]
    public void Setup()
    {
        VqaDataset data = VqaDataset.Open(Sample.Data);
        _split = data.Split("test");
        _vocabulary = data.BuildVocabulary();
        _scorer = new VqaScorer(_split, _vocabulary);
        _scores = [.. _split.Examples.Select((_, e) => _scorer.Score(e, e % _vocabulary.Count))];
    }

    /// <summary>As published: answers normalised one by one.</summary>
    [Benchmark(Baseline = true)]
    public double Official() => _split.Examples.Sum(e => VqaAccuracy.Official(e.Answers, "rectangle"));

    /// <summary>Prepares the scores of every label.</summary>
    [Benchmark]
    public VqaScorer Prepare() => new(_split, _vocabulary);

    /// <summary>Scores one answer to every question from what was prepared.</summary>
    [Benchmark]
    public double Score()
    {
        double sum = 0;
        for (int e = 0; e < _split.Examples.Count; e++)
        {
            sum += _scorer.Score(e, e % _vocabulary.Count);
        }

        return sum;
    }

    /// <summary>The 95 % interval of the mean: 2,000 resamples.</summary>
    [Benchmark]
    public double BootstrapInterval() => Bootstrap.Mean(_scores).Low;
}
