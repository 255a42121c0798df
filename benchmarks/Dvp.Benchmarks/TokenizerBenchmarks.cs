using BenchmarkDotNet.Attributes;
using Dvp.Models.Tokenizers;
using Dvp.Tasks.Vqa;

namespace Dvp.Benchmarks;

/// <summary>WordPiece on the sample's questions.</summary>
[MemoryDiagnoser]
public class TokenizerBenchmarks
{
    private const int Questions = 512;
    private const int Length = 16;
    private readonly int[] _ids = new int[Length];
    private readonly int[] _mask = new int[Length];
    private BertTokenizer _tokenizer = null!;
    private string[] _questions = [];

    [GlobalSetup]
    public void Setup()
    {
        _tokenizer = BertTokenizer.Load(Sample.LanguageModel);
        IReadOnlyList<VqaExample> examples = VqaDataset.Open(Sample.Data).Split("test").Examples;
        _questions = [.. Enumerable.Range(0, Questions).Select(i => examples[i % examples.Count].Question)];
    }

    /// <summary>Vocabulary and settings from their files.</summary>
    [Benchmark]
    public int Load() => BertTokenizer.Load(Sample.LanguageModel).VocabularySize;

    /// <summary>One question to 16 ids and their mask, in memory of the caller.</summary>
    [Benchmark(OperationsPerInvoke = Questions)]
    public int EncodeFixed()
    {
        int tokens = 0;
        foreach (string question in _questions)
        {
            tokens += _tokenizer.EncodeFixed(question, _ids, _mask);
        }

        return tokens;
    }

    /// <summary>One question to ids, tokens and offsets.</summary>
    [Benchmark(OperationsPerInvoke = Questions)]
    public int Encode()
    {
        int tokens = 0;
        foreach (string question in _questions)
        {
            tokens += _tokenizer.Encode(question).Ids.Length;
        }

        return tokens;
    }
}
