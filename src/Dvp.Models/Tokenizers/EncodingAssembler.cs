using Dvp.Engine;

namespace Dvp.Models.Tokenizers;

/// <summary>Cuts, joins and pads the tokens of texts.</summary>
/// <param name="paddingId">The id that padding has.</param>
/// <param name="modelMaxLength">The length where options give none.</param>
/// <param name="before">Special tokens before the first text.</param>
/// <param name="behind">Special tokens behind the first text.</param>
/// <param name="behindPair">Special tokens behind the second text.</param>
/// <param name="tokens">Tokens by id.</param>
internal sealed class EncodingAssembler(int paddingId, int? modelMaxLength, int[] before, int[] behind, int[] behindPair,
    string[] tokens)
{
    /// <summary>Cuts to the length that the options allow, and joins with the special tokens.</summary>
    public TokenEncoding Assemble(ref TokenList first, ref TokenList second, bool isPair, EncodeOptions options)
    {
        int special = !options.AddSpecialTokens ? 0 : before.Length + behind.Length + (isPair ? behindPair.Length : 0);
        if (options.Truncation != TruncationMode.None)
        {
            int room = MaxLength(options, "truncation") - special;
            if (room < 0)
            {
                throw new DvpException($"A maximal length of {room + special} has no room for the {special} special tokens; raise it.");
            }

            if (first.Count + second.Count > room)
            {
                Truncate(ref first, ref second, isPair, options.Truncation, room);
            }
        }

        int length = first.Count + second.Count + special;
        TokenEncoding encoding = Make(length);
        int at = 0;
        if (options.AddSpecialTokens)
        {
            at = Special(encoding, before, at, type: 0);
        }

        at = Text(encoding, first, at, type: 0);
        if (options.AddSpecialTokens)
        {
            at = Special(encoding, behind, at, type: 0);
        }

        if (isPair)
        {
            at = Text(encoding, second, at, type: 1);
            if (options.AddSpecialTokens)
            {
                Special(encoding, behindPair, at, type: 1);
            }
        }

        return encoding;
    }

    /// <summary>Pads a batch as the options say.</summary>
    public TokenEncoding[] Pad(TokenEncoding[] batch, EncodeOptions options)
    {
        if (options.Padding == PaddingMode.None || batch.Length == 0)
        {
            return batch;
        }

        int length = options.Padding == PaddingMode.MaxLength ? MaxLength(options, "padding") : batch.Max(e => e.Length);
        if (options.PadToMultipleOf is { } multiple)
        {
            if (multiple < 1)
            {
                throw new DvpException($"Padding to a multiple of {multiple} is impossible; give 1 or more.");
            }

            length = checked((length + multiple - 1) / multiple * multiple);
        }

        return Array.ConvertAll(batch, e => e.Length >= length ? e : Pad(e, length, options.PaddingSide));
    }

    private static void Truncate(ref TokenList first, ref TokenList second, bool isPair, TruncationMode mode, int room)
    {
        int excess = first.Count + second.Count - room;
        switch (mode)
        {
            case TruncationMode.OnlyFirst or TruncationMode.LongestFirst when !isPair:
                first.Count = room;
                break;
            case TruncationMode.OnlyFirst when first.Count > excess:
                first.Count -= excess;
                break;
            case TruncationMode.OnlySecond when isPair && second.Count > excess:
                second.Count -= excess;
                break;
            case TruncationMode.LongestFirst:
                Share(ref first, ref second, room);
                break;
            default:
                throw new DvpException(
                    $"Cutting {excess} tokens off the {(mode == TruncationMode.OnlyFirst ? "first" : "second")} text alone is " +
                    "impossible; raise the maximal length or use longest_first.");
        }
    }

    /// <summary>The shorter text keeps all it can, and when both are too long, half the room each, the odd token to the longer.</summary>
    private static void Share(ref TokenList first, ref TokenList second, int room)
    {
        bool swapped = first.Count > second.Count;
        int shorter = swapped ? second.Count : first.Count;
        int longer = shorter > room ? shorter : Math.Max(shorter, room - shorter);
        if (shorter + longer > room)
        {
            shorter = room / 2;
            longer = shorter + (room % 2);
        }

        first.Count = Math.Min(first.Count, swapped ? longer : shorter);
        second.Count = Math.Min(second.Count, swapped ? shorter : longer);
    }

    private int MaxLength(EncodeOptions options, string what)
    {
        int length = options.MaxLength ?? modelMaxLength
            ?? throw new DvpException($"The {what} needs a maximal length, which neither the options nor the model name; give max_length.");
        return length >= 0 ? length : throw new DvpException($"The maximal length is {length}; give 0 or more.");
    }

    private static TokenEncoding Make(int length) => new()
    {
        Ids = new int[length],
        AttentionMask = new int[length],
        TypeIds = new int[length],
        SpecialTokensMask = new int[length],
        Offsets = new TokenOffsets[length],
        Tokens = new string[length],
    };

    private int Special(TokenEncoding encoding, int[] ids, int at, int type)
    {
        foreach (int id in ids)
        {
            encoding.SpecialTokensMask[at] = 1;
            Set(encoding, at++, id, type);
        }

        return at;
    }

    private int Text(TokenEncoding encoding, in TokenList list, int at, int type)
    {
        list.Offsets.CopyTo(encoding.Offsets.AsSpan(at));
        foreach (int id in list.Ids)
        {
            Set(encoding, at++, id, type);
        }

        return at;
    }

    private void Set(TokenEncoding encoding, int at, int id, int type)
    {
        encoding.Ids[at] = id;
        encoding.Tokens[at] = tokens[id];
        encoding.AttentionMask[at] = 1;
        encoding.TypeIds[at] = type;
    }

    private TokenEncoding Pad(TokenEncoding encoding, int length, PaddingSide side)
    {
        TokenEncoding padded = Make(length);
        int start = side == PaddingSide.Left ? length - encoding.Length : 0;
        padded.Ids.AsSpan().Fill(paddingId);
        padded.Tokens.AsSpan().Fill(tokens[paddingId]);
        padded.SpecialTokensMask.AsSpan().Fill(1);
        encoding.Ids.CopyTo(padded.Ids, start);
        encoding.AttentionMask.CopyTo(padded.AttentionMask, start);
        encoding.TypeIds.CopyTo(padded.TypeIds, start);
        encoding.SpecialTokensMask.CopyTo(padded.SpecialTokensMask, start);
        encoding.Offsets.CopyTo(padded.Offsets, start);
        encoding.Tokens.CopyTo(padded.Tokens, start);
        return padded;
    }
}
