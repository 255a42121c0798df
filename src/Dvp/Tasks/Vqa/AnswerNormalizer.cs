using System.Buffers;
using System.Collections.Frozen;
using System.Globalization;
using System.Text;

namespace Dvp.Tasks.Vqa;

/// <summary>
/// The official VQA answer processing (the evaluation code published with VQA v2.0), rule by rule and with its oddities, since
/// a score is comparable only if every answer string comes out the same.
/// </summary>
/// <remarks>
/// Oddities kept on purpose: a mark touching a blank anywhere in the text is deleted everywhere in it; at most 32 periods are
/// removed (the published code passes a flag where a count belongs); contractions whose key has a capital can never match,
/// because words are lower-cased first, so they are not in the table.
/// </remarks>
public static class AnswerNormalizer
{
    private const int MaxPeriods = 32;
    private static readonly char[] s_marks = [.. ";/[]\"{}()=+\\_-><@`,?!"];
    private static readonly SearchValues<char> s_marksAndPeriod = SearchValues.Create(";/[]\"{}()=+\\_-><@`,?!.");
    private static readonly FrozenDictionary<string, string> s_words = Words();

    /// <summary>
    /// The punctuation step alone: line feeds and tabs become blanks, the ends are trimmed, then each mark becomes a blank or
    /// nothing and a period goes unless a digit follows it.
    /// </summary>
    public static string Punctuation(string text) => PunctuationOnly(Trim(text));

    /// <summary>The whole official processing, applied to predictions and human answers before they are compared.</summary>
    public static string Official(string text) => MapWords(PunctuationOnly(Trim(text)));

    /// <summary>The form that answer vocabularies are built from: no trimming before the punctuation step, no comma after it.</summary>
    public static string Vocabulary(string text) => MapWords(PunctuationOnly(text)).Replace(",", "", StringComparison.Ordinal);

    /// <summary>Line feeds and tabs become blanks, then the ends are trimmed.</summary>
    internal static string Trim(string text)
    {
        string t = text;
        if (t.AsSpan().ContainsAny('\n', '\t'))
        {
            t = t.Replace('\n', ' ').Replace('\t', ' ');
        }

        int start = 0, end = t.Length;
        while (start < end && IsBlank(t[start]))
        {
            start++;
        }

        while (end > start && IsBlank(t[end - 1]))
        {
            end--;
        }

        return end - start == t.Length ? t : t[start..end];
    }

    /// <summary>The punctuation step without the trimming before it.</summary>
    internal static string PunctuationOnly(string text)
    {
        if (!text.AsSpan().ContainsAny(s_marksAndPeriod))
        {
            return text;
        }

        bool commaBetweenDigits = HasCommaBetweenDigits(text);
        StringBuilder result = new(text);
        foreach (char mark in s_marks)
        {
            if (!text.Contains(mark, StringComparison.Ordinal))
            {
                continue;
            }

            if (commaBetweenDigits || TouchesBlank(text, mark))
            {
                Delete(result, mark);
            }
            else
            {
                result.Replace(mark, ' ');
            }
        }

        return StripPeriods(result.ToString());
    }

    private static bool TouchesBlank(string text, char mark)
    {
        for (int i = text.IndexOf(mark, StringComparison.Ordinal); i >= 0; i = text.IndexOf(mark, i + 1))
        {
            if ((i > 0 && text[i - 1] == ' ') || (i + 1 < text.Length && text[i + 1] == ' '))
            {
                return true;
            }
        }

        return false;
    }

    private static void Delete(StringBuilder text, char mark)
    {
        int kept = 0;
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] != mark)
            {
                text[kept++] = text[i];
            }
        }

        text.Length = kept;
    }

    private static string StripPeriods(string text)
    {
        if (!text.Contains('.', StringComparison.Ordinal))
        {
            return text;
        }

        StringBuilder result = new(text.Length);
        int removed = 0;
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] == '.' && removed < MaxPeriods && !DigitAt(text, i + 1))
            {
                removed++;
            }
            else
            {
                result.Append(text[i]);
            }
        }

        return result.ToString();
    }

    private static bool HasCommaBetweenDigits(string text)
    {
        for (int i = text.IndexOf(',', StringComparison.Ordinal); i >= 0; i = text.IndexOf(',', i + 1))
        {
            if (DigitBefore(text, i) && DigitAt(text, i + 1))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether a decimal digit of any script starts at <paramref name="i"/>; the published patterns are Unicode-aware.</summary>
    private static bool DigitAt(string text, int i) =>
        i < text.Length && Rune.TryGetRuneAt(text, i, out Rune r) && Rune.GetUnicodeCategory(r) == UnicodeCategory.DecimalDigitNumber;

    private static bool DigitBefore(string text, int i) =>
        Rune.DecodeLastFromUtf16(text.AsSpan(0, i), out Rune r, out _) == OperationStatus.Done
        && Rune.GetUnicodeCategory(r) == UnicodeCategory.DecimalDigitNumber;

    private static string MapWords(string text)
    {
        string lower = Lower(text);
        ReadOnlySpan<char> rest = lower;
        StringBuilder result = new(lower.Length);
        FrozenDictionary<string, string>.AlternateLookup<ReadOnlySpan<char>> words = s_words.GetAlternateLookup<ReadOnlySpan<char>>();
        while (true)
        {
            int start = 0;
            while (start < rest.Length && IsBlank(rest[start]))
            {
                start++;
            }

            rest = rest[start..];
            if (rest.IsEmpty)
            {
                break;
            }

            int end = 1;
            while (end < rest.Length && !IsBlank(rest[end]))
            {
                end++;
            }

            ReadOnlySpan<char> word = rest[..end];
            rest = rest[end..];
            if (words.TryGetValue(word, out string? mapped))
            {
                word = mapped;
            }

            if (!word.IsEmpty)
            {
                if (result.Length > 0)
                {
                    result.Append(' ');
                }

                result.Append(word);
            }
        }

        return result.Equals(text) ? text : result.ToString();
    }

    /// <summary>
    /// Lower case by Unicode's full mapping, as the published code's language does it: the one letter whose lower case is two
    /// characters, and the sigma that ends a word.
    /// </summary>
    private static string Lower(string text)
    {
        string lower = text.ToLowerInvariant();
        if (lower.Contains('\u0130', StringComparison.Ordinal))
        {
            lower = lower.Replace("\u0130", "i\u0307", StringComparison.Ordinal);
        }

        if (!text.Contains('\u03A3', StringComparison.Ordinal))
        {
            return lower;
        }

        char[] letters = text.ToCharArray();
        for (int i = 0; i < letters.Length; i++)
        {
            if (letters[i] == '\u03A3' && i > 0 && char.IsLetter(letters[i - 1])
                && !(i + 1 < letters.Length && char.IsLetter(letters[i + 1])))
            {
                letters[i] = '\u03C2';
            }
        }

        return new string(letters).ToLowerInvariant().Replace("\u0130", "i\u0307", StringComparison.Ordinal);
    }

    private static bool IsBlank(char c) => char.IsWhiteSpace(c) || c is >= '\u001C' and <= '\u001F';

    /// <summary>One table for a word: number words, articles (to nothing), contractions without their apostrophes.</summary>
    private static FrozenDictionary<string, string> Words()
    {
        Dictionary<string, string> words = new(StringComparer.Ordinal)
        {
            ["none"] = "0",
            ["zero"] = "0",
            ["one"] = "1",
            ["two"] = "2",
            ["three"] = "3",
            ["four"] = "4",
            ["five"] = "5",
            ["six"] = "6",
            ["seven"] = "7",
            ["eight"] = "8",
            ["nine"] = "9",
            ["ten"] = "10",
            ["a"] = "",
            ["an"] = "",
            ["the"] = "",
            ["somebody'd"] = "somebodyd", // published so, against the direction of every other entry
            ["ow's'at"] = "'ow's'at",
            ["'ows'at"] = "'ow's'at",
            ["'ow'sat"] = "'ow's'at",
            ["twas"] = "'twas",
            ["yall"] = "y'all",
            ["yall'll"] = "y'all'll",
            ["y'allll"] = "y'all'll",
            ["yall'd've"] = "y'all'd've",
            ["y'alld've"] = "y'all'd've",
            ["y'all'dve"] = "y'all'd've",
        };

        // The regular rest: a stem, and the endings that are known for it without an apostrophe.
        Add("ai are ca could did does do had has have is might must need ought sha should was were wo would", "n't", "nt");
        Add("could might must not should they we what where who would you", "'ve", "ve");
        Add("he how it somebody someone something there they where who you", "'d", "d", except: "somebody");
        Add("how it somebody someone something they what who why you", "'ll", "ll");
        Add("he how somebody someone that there what when where who why", "'s", "s");
        Add("there they what why you", "'re", "re");
        foreach (string stem in "could had might should would".Split(' '))
        {
            words[stem + "nt've"] = words[stem + "n'tve"] = stem + "n't've";
        }

        foreach (string stem in "he it she somebody someone something there they we who you".Split(' '))
        {
            words[stem + "d've"] = words[stem + "'dve"] = stem + "'d've";
        }

        words["maam"] = "ma'am";
        words["oclock"] = "o'clock";
        return words.ToFrozenDictionary(StringComparer.Ordinal);

        void Add(string stems, string ending, string bare, string? except = null)
        {
            foreach (string stem in stems.Split(' '))
            {
                if (stem != except)
                {
                    words[stem + bare] = stem + ending;
                }
            }
        }
    }
}
