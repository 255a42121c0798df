namespace Dvp.Models.Tokenizers;

/// <summary>What is cut when a text is too long.</summary>
public enum TruncationMode
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>The longer of two texts, down to an even share.</summary>
    LongestFirst,

    /// <summary>The first text.</summary>
    OnlyFirst,

    /// <summary>The second text.</summary>
    OnlySecond,
}

/// <summary>Up to where texts are padded.</summary>
public enum PaddingMode
{
    /// <summary>Not at all.</summary>
    None,

    /// <summary>To the longest of the batch.</summary>
    Longest,

    /// <summary>To <see cref="EncodeOptions.MaxLength"/>.</summary>
    MaxLength,
}

/// <summary>Which end of a text the padding stands at.</summary>
public enum PaddingSide
{
    /// <summary>Behind the text.</summary>
    Right,

    /// <summary>Before the text.</summary>
    Left,
}

/// <summary>How a text becomes tokens. The default adds special tokens, cuts nothing and pads nothing.</summary>
public sealed record EncodeOptions
{
    /// <summary>Special tokens, no truncation, no padding.</summary>
    public static EncodeOptions Default { get; } = new();

    /// <summary>Adds the model's special tokens.</summary>
    public bool AddSpecialTokens { get; init; } = true;

    /// <summary>What is cut when the tokens are more than <see cref="MaxLength"/>.</summary>
    public TruncationMode Truncation { get; init; }

    /// <summary>Tokens, special ones included; the model's own limit when null.</summary>
    public int? MaxLength { get; init; }

    /// <summary>Up to where texts are padded.</summary>
    public PaddingMode Padding { get; init; }

    /// <summary>Which end the padding stands at.</summary>
    public PaddingSide PaddingSide { get; init; }

    /// <summary>Padded lengths are rounded up to a multiple of this.</summary>
    public int? PadToMultipleOf { get; init; }

    /// <summary>Cuts and pads every text to the same length, as a language model's text input is prepared.</summary>
    public static EncodeOptions Fixed(int length) =>
        new() { Truncation = TruncationMode.LongestFirst, Padding = PaddingMode.MaxLength, MaxLength = length };
}
