using System.Globalization;
using System.Text.RegularExpressions;

namespace Dvp.Engine.IO;

/// <summary>
/// The order in which a model computes the tensors that a file of results names, so that the first one that differs is where to look:
/// pictures, embeddings, encoder states, states below the insertion layer, prompt, states above it, output state, logits, loss, and the
/// gradients in the order of the backward pass.
/// </summary>
internal sealed partial class ExecutionOrder : IComparer<string>
{
    private static readonly string[] s_before =
    [
        "decoded", "decoded_high_byte", "resized_uncropped", "resized", "openai.resized", "normalised", "inv_freq", "embeddings",
        "encoder_hidden_states", "encoder_last_block", "encoder_output",
    ];

    private static readonly string[] s_prompt = ["prompt_attention", "prompt", "inserted"];

    private static readonly string[] s_after =
    [
        "decoder_last_block", "decoder_output", "last_block", "last_hidden_state", "pooler_output", "image_embeds", "output_state",
        "sequence",
    ];

    private static readonly string[] s_results = ["logits", "loss", "losses"];

    private readonly int? _insertionLayer;

    /// <summary>Makes an order.</summary>
    /// <param name="insertionLayer">K: states 0..K come before the prompt; null when unknown, the prompt then follows all states.</param>
    public ExecutionOrder(int? insertionLayer) => _insertionLayer = insertionLayer;

    /// <inheritdoc/>
    public int Compare(string? x, string? y)
    {
        (int rankX, int numberX) = Rank(x!);
        (int rankY, int numberY) = Rank(y!);
        int order = rankX.CompareTo(rankY);
        order = order != 0 ? order : numberX.CompareTo(numberY);
        return order != 0 ? order : Natural(x!, y!);
    }

    /// <summary>Compares names with numbers in them by value: <c>layer.2</c> before <c>layer.10</c>.</summary>
    public static int Natural(string x, string y)
    {
        (int i, int j) = (0, 0);
        while (i < x.Length && j < y.Length)
        {
            if (char.IsAsciiDigit(x[i]) && char.IsAsciiDigit(y[j]))
            {
                ReadOnlySpan<char> a = Digits(x, ref i);
                ReadOnlySpan<char> b = Digits(y, ref j);
                int order = a.Length != b.Length ? a.Length.CompareTo(b.Length) : a.SequenceCompareTo(b);
                if (order != 0)
                {
                    return order;
                }
            }
            else if (x[i] != y[j])
            {
                return x[i].CompareTo(y[j]);
            }
            else
            {
                i++;
                j++;
            }
        }

        int rest = (x.Length - i).CompareTo(y.Length - j);
        return rest != 0 ? rest : string.CompareOrdinal(x, y);
    }

    private static ReadOnlySpan<char> Digits(string text, ref int at)
    {
        int start = at;
        while (at < text.Length && char.IsAsciiDigit(text[at]))
        {
            at++;
        }

        return text.AsSpan(start, at - start).TrimStart('0');
    }

    [GeneratedRegex(@"(?:layers?|blocks?|adapters)\.(\d+)\.")]
    private static partial Regex LayerNumber();

    private (int Rank, int Number) Rank(string name)
    {
        if (name.StartsWith("gradients.", StringComparison.Ordinal))
        {
            return GradientRank(name);
        }

        int dot = name.LastIndexOf('.');
        bool numbered = int.TryParse(name.AsSpan(dot + 1), NumberStyles.None, CultureInfo.InvariantCulture, out int number);
        string stem = numbered && dot > 0 ? name[..dot] : name;
        if (stem is "hidden_states" or "decoder_hidden_states")
        {
            return (_insertionLayer is { } k && number > k ? 300 : 100, number);
        }

        int at = Array.IndexOf(s_before, stem);
        if (at >= 0)
        {
            return (at, numbered ? number : 0);
        }

        at = Array.IndexOf(s_prompt, stem);
        if (at >= 0)
        {
            return (200 + at, numbered ? number : 0);
        }

        at = Array.IndexOf(s_after, stem);
        if (at >= 0)
        {
            return (400 + at, 0);
        }

        at = Array.IndexOf(s_results, stem);
        return at >= 0 ? (600 + at, numbered ? number : 0) : (500, 0);
    }

    /// <summary>Head first, then layers from the last to the first, then the rest, embeddings at the end.</summary>
    private static (int Rank, int Number) GradientRank(string name)
    {
        if (name.StartsWith("gradients.head.", StringComparison.Ordinal) || name.Contains("lm_head", StringComparison.Ordinal))
        {
            return (700, 0);
        }

        if (name.Contains("embed", StringComparison.Ordinal) || name.Contains("shared", StringComparison.Ordinal))
        {
            return (704, 0);
        }

        Match layer = LayerNumber().Match(name);
        bool encoder = name.Contains("encoder_", StringComparison.Ordinal) && !name.Contains("decoder_", StringComparison.Ordinal);
        return layer.Success
            ? (encoder ? 702 : 701, -int.Parse(layer.Groups[1].ValueSpan, CultureInfo.InvariantCulture))
            : (703, 0);
    }
}
