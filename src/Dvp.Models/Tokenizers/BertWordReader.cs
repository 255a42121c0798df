using System.Globalization;
using System.Text;

namespace Dvp.Models.Tokenizers;

/// <summary>
/// Reads a text as BERT does: drops control characters, sets Chinese characters apart, takes accents off, lowers case, splits at
/// spaces and around punctuation, and cuts each word into the longest pieces of the vocabulary from its start. Offsets follow
/// every character through these steps: a character that was made of another stands where that one stood.
/// </summary>
internal ref struct BertWordReader
{
    private readonly WordPieceVocabulary _vocabulary;
    private readonly BertTokenizerSettings _settings;
    private readonly int _unknown;
    private readonly bool _stripAccents;
    private readonly Span<char> _word;
    private readonly Span<int> _places; // the code point of the text that each unit of the word comes from
    private int _units;
    private int _length; // code points of the word; goes on counting where the word is too long to be kept
    private int _start;
    private int _end;

    /// <summary>Prepares the reader.</summary>
    /// <param name="vocabulary">The pieces.</param>
    /// <param name="settings">What is done to the text.</param>
    /// <param name="unknown">Id of words that no pieces make.</param>
    /// <param name="word">Room for twice the longest word.</param>
    /// <param name="places">As much room.</param>
    public BertWordReader(WordPieceVocabulary vocabulary, BertTokenizerSettings settings, int unknown, Span<char> word,
        Span<int> places)
    {
        _vocabulary = vocabulary;
        _settings = settings;
        _unknown = unknown;
        _stripAccents = settings.StripAccents ?? settings.Lowercase;
        _word = word;
        _places = places;
    }

    /// <summary>Adds the tokens of a stretch of text.</summary>
    /// <param name="text">The stretch.</param>
    /// <param name="position">Code points before it.</param>
    /// <param name="tokens">The list.</param>
    /// <returns>Code points behind it.</returns>
    public int Read(ReadOnlySpan<char> text, int position, ref TokenList tokens)
    {
        foreach (Rune rune in text.EnumerateRunes())
        {
            Take(rune, position++, ref tokens);
        }

        Flush(ref tokens);
        return position;
    }

    private void Take(Rune rune, int place, ref TokenList tokens)
    {
        if (rune.Value < 0x80)
        {
            // The common case, in which nothing decomposes.
            char c = (char)rune.Value;
            if (c is ' ' or '\t' or '\n' or '\r')
            {
                Flush(ref tokens);
            }
            else if (c >= ' ' && c != 0x7F)
            {
                Add(new Rune(_settings.Lowercase && c is >= 'A' and <= 'Z' ? (char)(c + 32) : c), place, ref tokens);
            }
            else if (!_settings.CleanText)
            {
                Plain(rune, place, ref tokens);
            }

            return;
        }

        if (_settings.CleanText && IsDropped(rune))
        {
            return;
        }

        if (Rune.IsWhiteSpace(rune))
        {
            Flush(ref tokens);
            return;
        }

        bool apart = _settings.SeparateChinese && IsChinese(rune.Value);
        if (apart)
        {
            Flush(ref tokens);
        }

        Span<Rune> parts = stackalloc Rune[CanonicalDecomposition.MaxLength];
        parts[0] = rune;
        int count = _stripAccents ? CanonicalDecomposition.Decompose(rune, parts) : 1;
        foreach (Rune part in parts[..count])
        {
            if (!_stripAccents || Rune.GetUnicodeCategory(part) != UnicodeCategory.NonSpacingMark)
            {
                Lower(part, place, ref tokens);
            }
        }

        if (apart)
        {
            Flush(ref tokens);
        }
    }

    private void Lower(Rune rune, int place, ref TokenList tokens)
    {
        if (_settings.Lowercase && rune.Value == 0x130)
        {
            // The only character whose lower case is two: a dotted i and the dot that stays above.
            Add(new Rune('i'), place, ref tokens);
            Add(new Rune(0x307), place, ref tokens);
        }
        else
        {
            Add(_settings.Lowercase ? Rune.ToLowerInvariant(rune) : rune, place, ref tokens);
        }
    }

    /// <summary>A control character that is kept: white space or part of a word.</summary>
    private void Plain(Rune rune, int place, ref TokenList tokens)
    {
        if (Rune.IsWhiteSpace(rune))
        {
            Flush(ref tokens);
        }
        else
        {
            Add(rune, place, ref tokens);
        }
    }

    private void Add(Rune rune, int place, ref TokenList tokens)
    {
        bool alone = IsPunctuation(rune);
        if (alone)
        {
            Flush(ref tokens);
        }

        if (_length == 0)
        {
            _start = place;
        }

        _length++;
        _end = place + 1;
        if (_length <= _settings.MaxWordLength)
        {
            int units = rune.EncodeToUtf16(_word[_units..]);
            _places.Slice(_units, units).Fill(place);
            _units += units;
        }

        if (alone)
        {
            Flush(ref tokens);
        }
    }

    /// <summary>Cuts the word that was collected into pieces and begins a new one.</summary>
    private void Flush(ref TokenList tokens)
    {
        if (_length == 0)
        {
            return;
        }

        int before = tokens.Count;
        ReadOnlySpan<char> word = _word[.._units];
        bool known = _length <= _settings.MaxWordLength;
        for (int start = 0; known && start < word.Length;)
        {
            int end = Math.Min(word.Length, start + _vocabulary.LongestPiece);
            int id = 0;
            while (end > start && !_vocabulary.TryFind(word[start..end], start > 0, out id))
            {
                end--;
            }

            known = end > start;
            if (known)
            {
                tokens.Add(id, _places[start], _places[end - 1] + 1);
                start = end;
            }
        }

        if (!known)
        {
            tokens.Count = before;
            tokens.Add(_unknown, _start, _end);
        }

        _units = 0;
        _length = 0;
    }

    /// <summary>Control, format and private-use characters, and the replacement character, which stands for broken text.</summary>
    private static bool IsDropped(Rune rune) => rune.Value == 0xFFFD || Rune.GetUnicodeCategory(rune)
        is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.PrivateUse or UnicodeCategory.Surrogate;

    private static bool IsPunctuation(Rune rune) => rune.Value < 0x80
        ? rune.Value is (>= 33 and <= 47) or (>= 58 and <= 64) or (>= 91 and <= 96) or (>= 123 and <= 126)
        : Rune.IsPunctuation(rune);

    /// <summary>The blocks of CJK ideographs that BERT sets apart (the fifth as its fast tokenizer has it).</summary>
    private static bool IsChinese(int code) => code is (>= 0x4E00 and <= 0x9FFF) or (>= 0x3400 and <= 0x4DBF)
        or (>= 0x20000 and <= 0x2A6DF) or (>= 0x2A700 and <= 0x2B73F) or (>= 0x2B740 and <= 0x2B81F) or (>= 0x2B920 and <= 0x2CEAF)
        or (>= 0xF900 and <= 0xFAFF) or (>= 0x2F800 and <= 0x2FA1F);
}
