using System.Buffers;
using System.Text;
using Dvp.Engine;

namespace Dvp.Models.Tokenizers;

/// <summary>
/// BERT's tokenizer: basic splitting and WordPiece, with the ids, offsets and decoding of the Hugging Face fast tokenizer.
/// </summary>
public sealed class BertTokenizer : ITextTokenizer
{
    private readonly WordPieceVocabulary _vocabulary;
    private readonly BertTokenizerSettings _settings;
    private readonly EncodingAssembler _assembler;
    private readonly SearchValues<string> _marks;
    private readonly string[] _special; // longest first
    private readonly HashSet<int> _specialIds;
    private readonly int _unknown;
    private readonly int _classifier;
    private readonly int _separator;

    private BertTokenizer(WordPieceVocabulary vocabulary, BertTokenizerSettings settings, string file)
    {
        _vocabulary = vocabulary;
        _settings = settings;
        _unknown = Required(settings.Unknown, file);
        _classifier = Required(settings.Classifier, file);
        _separator = Required(settings.Separator, file);
        PaddingId = Required(settings.Padding, file);
        string[] marks = [settings.Unknown, settings.Classifier, settings.Separator, settings.Padding, settings.Mask,
            .. settings.Additional];
        _special = [.. marks.Distinct().Where(m => m.Length > 0 && vocabulary.IdOf(m) is not null).OrderByDescending(m => m.Length)];
        _specialIds = [.. _special.Select(m => vocabulary.IdOf(m)!.Value)];
        _marks = SearchValues.Create(_special, StringComparison.Ordinal);
        _assembler = new EncodingAssembler(PaddingId, settings.ModelMaxLength, [_classifier], [_separator], [_separator],
            vocabulary.Tokens);
    }

    /// <inheritdoc/>
    public int VocabularySize => _vocabulary.Tokens.Length;

    /// <inheritdoc/>
    public int PaddingId { get; }

    /// <inheritdoc/>
    public int? ModelMaxLength => _settings.ModelMaxLength;

    /// <summary>
    /// Reads <c>vocab.txt</c> with <c>tokenizer_config.json</c> (lower-case BERT where that is missing), or, where there is no
    /// <c>vocab.txt</c>, <c>tokenizer.json</c>, whose requests for truncation and padding are not applied.
    /// </summary>
    /// <param name="folder">The model's folder.</param>
    /// <exception cref="DvpException">A file is missing or damaged; the message names it.</exception>
    public static BertTokenizer Load(string folder)
    {
        (WordPieceVocabulary vocabulary, BertTokenizerSettings settings, string file) = BertTokenizerFiles.Load(folder);
        return new BertTokenizer(vocabulary, settings, file);
    }

    /// <inheritdoc/>
    public TokenEncoding Encode(string text, string? pair = null, EncodeOptions? options = null) =>
        EncodeBatch([text], pair is null ? null : [pair], options)[0];

    /// <inheritdoc/>
    public TokenEncoding[] EncodeBatch(IReadOnlyList<string> texts, IReadOnlyList<string>? pairs = null, EncodeOptions? options = null)
    {
        options ??= EncodeOptions.Default;
        if (pairs is not null && pairs.Count != texts.Count)
        {
            throw new DvpException($"A batch has {texts.Count} texts and {pairs.Count} second texts; give as many of both.");
        }

        var unpadded = new TokenEncoding[texts.Count];
        for (int i = 0; i < unpadded.Length; i++)
        {
            TokenList first = new(texts[i].Length + 2);
            TokenList second = pairs is null ? default : new TokenList(pairs[i].Length + 2);
            try
            {
                Read(texts[i], ref first);
                if (pairs is not null)
                {
                    Read(pairs[i], ref second);
                }

                unpadded[i] = _assembler.Assemble(ref first, ref second, pairs is not null, options);
            }
            finally
            {
                first.Dispose();
                if (pairs is not null)
                {
                    second.Dispose();
                }
            }
        }

        return _assembler.Pad(unpadded, options);
    }

    /// <inheritdoc/>
    public int EncodeFixed(ReadOnlySpan<char> text, Span<int> ids, Span<int> mask)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(ids.Length, 2, nameof(ids));
        ArgumentOutOfRangeException.ThrowIfNotEqual(mask.Length, ids.Length, nameof(mask));
        TokenList tokens = new(text.Length + 2);
        try
        {
            Read(text, ref tokens);
            int count = Math.Min(tokens.Count, ids.Length - 2);
            ids[0] = _classifier;
            tokens.Ids[..count].CopyTo(ids[1..]);
            ids[count + 1] = _separator;
            ids[(count + 2)..].Fill(PaddingId);
            mask[..(count + 2)].Fill(1);
            mask[(count + 2)..].Clear();
            return count + 2;
        }
        finally
        {
            tokens.Dispose();
        }
    }

    /// <inheritdoc/>
    public string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens = true, bool cleanUp = false)
    {
        StringBuilder text = new();
        bool first = true;
        foreach (int id in ids)
        {
            string token = TokenOf(id);
            if (skipSpecialTokens && _specialIds.Contains(id))
            {
                continue;
            }

            if (first)
            {
                text.Append(CleanUp(token, inText: false));
            }
            else if (token.StartsWith(_vocabulary.Prefix, StringComparison.Ordinal))
            {
                text.Append(CleanUp(token[_vocabulary.Prefix.Length..], inText: false));
            }
            else
            {
                text.Append(CleanUp(" " + token, inText: false));
            }

            first = false;
        }

        return cleanUp ? CleanUp(text.ToString(), inText: true) : text.ToString();
    }

    /// <inheritdoc/>
    public string TokenOf(int id) => (uint)id < (uint)VocabularySize ? _vocabulary.Tokens[id]
        : throw new DvpException($"The token id {id} is outside the vocabulary of {VocabularySize} tokens.");

    /// <inheritdoc/>
    public int? IdOf(string token) => _vocabulary.IdOf(token);

    /// <summary>
    /// Takes out spaces before punctuation and in English contractions. The reference does it to every token on its own, where
    /// only what one token holds can match, and once more to the whole text when asked.
    /// </summary>
    private static string CleanUp(string text, bool inText)
    {
        if (!text.Contains(' ', StringComparison.Ordinal))
        {
            return text;
        }

        text = text.Replace(" .", ".", StringComparison.Ordinal).Replace(" ?", "?", StringComparison.Ordinal)
            .Replace(" !", "!", StringComparison.Ordinal).Replace(" ,", ",", StringComparison.Ordinal)
            .Replace(" ' ", "'", StringComparison.Ordinal).Replace(" n't", "n't", StringComparison.Ordinal)
            .Replace(" 'm", "'m", StringComparison.Ordinal);
        text = inText ? text : text.Replace(" do not", " don't", StringComparison.Ordinal);
        return text.Replace(" 's", "'s", StringComparison.Ordinal).Replace(" 've", "'ve", StringComparison.Ordinal)
            .Replace(" 're", "'re", StringComparison.Ordinal);
    }

    /// <summary>Special tokens that the text spells out are themselves; what lies between them is read.</summary>
    private void Read(ReadOnlySpan<char> text, ref TokenList tokens)
    {
        int room = (2 * _settings.MaxWordLength) + 2;
        char[] word = ArrayPool<char>.Shared.Rent(room);
        int[] places = ArrayPool<int>.Shared.Rent(room);
        BertWordReader reader = new(_vocabulary, _settings, _unknown, word, places);
        int position = 0;
        while (true)
        {
            int next = text.IndexOfAny(_marks);
            if (next < 0)
            {
                reader.Read(text, position, ref tokens);
                break;
            }

            position = reader.Read(text[..next], position, ref tokens);
            ReadOnlySpan<char> rest = text[next..];
            string mark = "";
            foreach (string candidate in _special)
            {
                if (rest.StartsWith(candidate, StringComparison.Ordinal))
                {
                    mark = candidate;
                    break;
                }
            }

            int start = position;
            foreach (Rune _ in mark.EnumerateRunes())
            {
                position++;
            }

            tokens.Add(_vocabulary.IdOf(mark)!.Value, start, position);
            text = rest[mark.Length..];
        }

        ArrayPool<char>.Shared.Return(word);
        ArrayPool<int>.Shared.Return(places);
    }

    private int Required(string token, string file) => _vocabulary.IdOf(token)
        ?? throw new DvpException(
            $"The vocabulary {file} has no {token}; restore the original file, or name the token in tokenizer_config.json.");
}
