using BenchmarkDotNet.Attributes;
using Dvp.Tasks.Vqa;

namespace Dvp.Benchmarks;

/// <summary>VQA v2.0 JSON, gzipped, to checked records.</summary>
[MemoryDiagnoser]
public class QuestionFileBenchmarks
{
    private VqaDataset _data = null!;

    [GlobalSetup]
    public void Setup()
    {
        _data = VqaDataset.Open(Sample.Data);
        _data.BuildVocabulary();
    }

    /// <summary>1,244 questions with ten answers each.</summary>
    [Benchmark]
    public int ReadTest() => VqaDataset.Open(Sample.Data).Split("test").Examples.Count;

    /// <summary>4,909 questions with ten answers each.</summary>
    [Benchmark]
    public int ReadTrain() => VqaDataset.Open(Sample.Data).Split("train").Examples.Count;

    /// <summary>The answer vocabulary of splits that were read.</summary>
    [Benchmark]
    public int BuildVocabulary() => _data.BuildVocabulary().Count;
}
