using System.Collections.Frozen;
using System.Globalization;
using System.Text;

namespace Dvp.Models.Tokenizers;

/// <summary>
/// The canonical decomposition of characters (Unicode NFD, without the reordering of marks). The runtime's own needs a native
/// library that is not there in invariant globalization mode, where it returns the text as it is and says nothing.
/// </summary>
internal static class CanonicalDecomposition
{
    /// <summary>The most characters that one decomposes into.</summary>
    public const int MaxLength = 4;

    private const int HangulFirst = 0xAC00;
    private const int HangulCount = 11172;

    private static readonly Lazy<FrozenDictionary<int, int[]>> s_table = new(Load);

    /// <summary>Writes what a character decomposes into; itself when it does not.</summary>
    /// <param name="character">The character.</param>
    /// <param name="parts">Room for <see cref="MaxLength"/>.</param>
    /// <returns>Number of parts.</returns>
    public static int Decompose(Rune character, Span<Rune> parts)
    {
        int code = character.Value;
        int hangul = code - HangulFirst;
        if (code < 0xC0)
        {
            parts[0] = character;
            return 1;
        }

        if ((uint)hangul < HangulCount)
        {
            // Leading consonant, vowel and, but for every 28th, trailing consonant (The Unicode Standard, 3.12).
            parts[0] = new Rune(0x1100 + (hangul / 588));
            parts[1] = new Rune(0x1161 + (hangul % 588 / 28));
            if (hangul % 28 == 0)
            {
                return 2;
            }

            parts[2] = new Rune(0x11A7 + (hangul % 28));
            return 3;
        }

        if (!s_table.Value.TryGetValue(code, out int[]? found))
        {
            parts[0] = character;
            return 1;
        }

        for (int i = 0; i < found.Length; i++)
        {
            parts[i] = new Rune(found[i]);
        }

        return found.Length;
    }

    private static FrozenDictionary<int, int[]> Load()
    {
        using Stream stream = typeof(CanonicalDecomposition).Assembly.GetManifestResourceStream("canonical-decompositions.txt")!;
        using StreamReader reader = new(stream);
        Dictionary<int, int[]> table = [];
        while (reader.ReadLine() is { } line)
        {
            if (line.StartsWith('#'))
            {
                continue;
            }

            foreach (string entry in line.Split(' '))
            {
                int equals = entry.IndexOf('=', StringComparison.Ordinal);
                table[Hex(entry.AsSpan(0, equals))] = Array.ConvertAll(entry[(equals + 1)..].Split('+'), part => Hex(part));
            }
        }

        return table.ToFrozenDictionary();
    }

    private static int Hex(ReadOnlySpan<char> digits) => int.Parse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
}
