using Dvp.Engine;

namespace Dvp.Models.Tokenizers;

/// <summary>Text to token ids and back. Instances are immutable and serve any number of threads.</summary>
public interface ITextTokenizer
{
    /// <summary>Number of ids.</summary>
    int VocabularySize { get; }

    /// <summary>The id that padding has.</summary>
    int PaddingId { get; }

    /// <summary>The longest input that the model takes, in tokens; null when it names none.</summary>
    int? ModelMaxLength { get; }

    /// <summary>Encodes a text.</summary>
    /// <param name="text">The text, or the first of two.</param>
    /// <param name="pair">The second text.</param>
    /// <param name="options">Special tokens, truncation and padding; the default when null.</param>
    /// <exception cref="DvpException">The options cannot be met.</exception>
    TokenEncoding Encode(string text, string? pair = null, EncodeOptions? options = null);

    /// <summary>Encodes several texts, padded together.</summary>
    /// <param name="texts">The texts, or the first ones of pairs.</param>
    /// <param name="pairs">The second texts, as many; null for none.</param>
    /// <param name="options">Special tokens, truncation and padding; the default when null.</param>
    /// <exception cref="DvpException">The options cannot be met.</exception>
    TokenEncoding[] EncodeBatch(IReadOnlyList<string> texts, IReadOnlyList<string>? pairs = null, EncodeOptions? options = null);

    /// <summary>Writes a text's ids and mask, cut and padded on the right to the length of the spans; allocates nothing.</summary>
    /// <param name="text">The text.</param>
    /// <param name="ids">(length) token ids.</param>
    /// <param name="mask">(length) 1 for tokens, 0 for padding.</param>
    /// <returns>Number of tokens before the padding.</returns>
    int EncodeFixed(ReadOnlySpan<char> text, Span<int> ids, Span<int> mask);

    /// <summary>Text from ids.</summary>
    /// <param name="ids">Token ids.</param>
    /// <param name="skipSpecialTokens">Leaves special tokens out.</param>
    /// <param name="cleanUp">Takes out the spaces before punctuation and in contractions of English.</param>
    /// <exception cref="DvpException">An id is not in the vocabulary.</exception>
    string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens = true, bool cleanUp = false);

    /// <summary>The token of an id, as the vocabulary writes it.</summary>
    /// <exception cref="DvpException">The id is not in the vocabulary.</exception>
    string TokenOf(int id);

    /// <summary>The id of a token as the vocabulary writes it; null when it is not there.</summary>
    int? IdOf(string token);
}
