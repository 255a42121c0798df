using Dvp.Engine;
using Dvp.Engine.Tensors;

namespace Dvp.Prompting;

/// <summary>Inputs of a recorded step on the device.</summary>
/// <param name="Ids">I32 (D, T)</param>
/// <param name="TextMask">I32 (D, T)</param>
/// <param name="Rows">I32 (B), the text of each example; null where D = B</param>
/// <param name="FullMask">
/// I32 (B, P + T), the prompt's ones first; T columns for T5, whose prompt does not stand in the text; null without a prompt
/// </param>
/// <param name="Visual">(B, N, V); null without a prompt</param>
/// <param name="Targets">(B, labels), or I32 (B) for one label; null where no loss is asked for</param>
/// <param name="Ends">
/// I32 (4, B), or (4, D) without a prompt, for models whose end token is read (<see cref="TextEnds"/>); else null
/// </param>
public sealed record StepInputs(
    Tensor Ids, Tensor TextMask, Tensor? Rows, Tensor? FullMask, Tensor? Visual, Tensor? Targets, Tensor? Ends = null);

/// <summary>
/// Where texts end, for LLaMA: a table of four rows, one column a sequence: the end token's row among all B T rows of the text; the row that
/// is read among the B (P + T) rows behind the insertion; its position; the number of keys it sees.
/// </summary>
public static class TextEnds
{
    /// <summary>Rows of the table.</summary>
    public const int TableRows = 4;

    /// <summary>Fills the column of a sequence.</summary>
    /// <param name="table">(4, batch), row by row</param>
    /// <param name="batch">Sequences.</param>
    /// <param name="sequence">Number of the sequence.</param>
    /// <param name="ids">Its tokens, with or without padding.</param>
    /// <param name="length">T, tokens of a padded text.</param>
    /// <param name="prompts">P, tokens before the text.</param>
    /// <param name="endToken">The end token, the first of which counts.</param>
    /// <exception cref="DvpException">The text has no end token.</exception>
    public static void Write(Span<int> table, int batch, int sequence, ReadOnlySpan<int> ids, int length, int prompts, int endToken)
    {
        int end = ids.IndexOf(endToken);
        if (end < 0)
        {
            throw new DvpException($"Text {sequence} of a batch has no end token {endToken}, whose state asks for the prompt; end every text with it.");
        }

        table[sequence] = (sequence * length) + end;
        table[batch + sequence] = (sequence * (prompts + length)) + prompts + end;
        table[(2 * batch) + sequence] = prompts + end;
        table[(3 * batch) + sequence] = prompts + end + 1;
    }

    /// <summary>One row of the table on the device.</summary>
    internal static Tensor Row(Tensor table, int row) => table.SliceRows(row, 1).Reshape(table.Columns);
}
