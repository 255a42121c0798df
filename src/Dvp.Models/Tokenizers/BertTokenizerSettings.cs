namespace Dvp.Models.Tokenizers;

/// <summary>What a BERT tokenizer does besides looking up pieces.</summary>
internal sealed record BertTokenizerSettings
{
    public bool Lowercase { get; init; } = true;

    /// <summary>Accents are taken off; when null, as <see cref="Lowercase"/>.</summary>
    public bool? StripAccents { get; init; }

    /// <summary>Control characters are dropped and every kind of space is a space.</summary>
    public bool CleanText { get; init; } = true;

    /// <summary>Chinese characters are words of their own.</summary>
    public bool SeparateChinese { get; init; } = true;

    /// <summary>Longer words, in code points, are unknown.</summary>
    public int MaxWordLength { get; init; } = 100;

    public int? ModelMaxLength { get; init; }

    public string Unknown { get; init; } = "[UNK]";

    public string Classifier { get; init; } = "[CLS]";

    public string Separator { get; init; } = "[SEP]";

    public string Padding { get; init; } = "[PAD]";

    public string Mask { get; init; } = "[MASK]";

    /// <summary>Further tokens that are recognised as they are.</summary>
    public IReadOnlyList<string> Additional { get; init; } = [];
}
