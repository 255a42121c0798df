namespace Dvp.Models.Tokenizers;

/// <summary>A text, or a pair of texts, as tokens. All lists have one entry a token.</summary>
public sealed class TokenEncoding
{
    /// <summary>Token ids.</summary>
    public required int[] Ids { get; init; }

    /// <summary>1 for tokens, 0 for padding.</summary>
    public required int[] AttentionMask { get; init; }

    /// <summary>1 for tokens of the second text and the separator behind it, else 0.</summary>
    public required int[] TypeIds { get; init; }

    /// <summary>1 for special tokens that the tokenizer added and for padding, else 0.</summary>
    public required int[] SpecialTokensMask { get; init; }

    /// <summary>
    /// Where each token stands in its own text, in Unicode code points from start to end exclusive; (0, 0) for tokens that the
    /// tokenizer added.
    /// </summary>
    public required TokenOffsets[] Offsets { get; init; }

    /// <summary>The tokens as the vocabulary writes them.</summary>
    public required string[] Tokens { get; init; }

    /// <summary>Number of tokens, padding included.</summary>
    public int Length => Ids.Length;
}

/// <summary>A range of Unicode code points of a text.</summary>
/// <param name="Start">First code point.</param>
/// <param name="End">The one behind the last.</param>
public readonly record struct TokenOffsets(int Start, int End);
