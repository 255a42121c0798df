using System.Diagnostics.CodeAnalysis;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cpu;

public sealed unsafe partial class CpuBackend
{
    private struct EmbeddingContext
    {
        internal View Y;
        internal View Words;
        internal View Positions;
        internal View Types;
        internal int* Ids;
        internal int* TypeIds;
        internal int Tokens;
        internal int Padding;
        internal int RowsOfPiece;
    }

    /// <inheritdoc/>
    public override void EmbeddingForward(
        Tensor y, Tensor ids, ParameterBlock words, ParameterBlock? positions, ParameterBlock? types, Tensor? typeIds)
    {
        const string Operation = nameof(EmbeddingForward);
        NoteLaunch();
        EmbeddingContext c = Embedding(Operation, y, ids, words.Value, positions?.Value, types?.Value, typeIds);
        c.RowsOfPiece = RowsOfPiece(y.Columns);
        Run(Pieces(y.Rows, c.RowsOfPiece), &EmbeddingForwardBody, &c);
    }

    /// <inheritdoc/>
    public override void EmbeddingBackward(
        Tensor? dwords, Tensor? dpositions, Tensor? dtypes, Tensor dy, Tensor ids, Tensor? typeIds, int paddingIndex)
    {
        NoteLaunch();
        EmbeddingContext c = Embedding(nameof(EmbeddingBackward), dy, ids, dwords, dpositions, dtypes, typeIds);
        c.Padding = paddingIndex;
        Run(Pieces(dy.Columns, ColumnPiece * 2), &EmbeddingBackwardBody, &c);
    }

    private static EmbeddingContext Embedding(
        string operation, Tensor y, Tensor ids, Tensor? words, Tensor? positions, Tensor? types, Tensor? typeIds)
    {
        EmbeddingContext c = new()
        {
            Y = new View(y, operation),
            Words = Optional(words, operation),
            Positions = Optional(positions, operation),
            Types = Optional(types, operation),
            Ids = Integers(ids, y.Rows, operation),
            TypeIds = typeIds is null ? null : Integers(typeIds, y.Rows, operation),
            Tokens = ids.Columns,
        };
        Require(words is null || words.Columns == y.Columns, operation, y, words);
        Require(positions is null || (positions.Columns == y.Columns && positions.Rows >= c.Tokens), operation, y, positions);
        Require(types is null || types.Columns == y.Columns, operation, y, types);
        for (int row = 0; row < y.Rows; row++)
        {
            if (words is not null && (uint)c.Ids[row] >= (uint)words.Rows)
            {
                ThrowId("token", c.Ids[row], words.Rows);
            }

            if (types is not null && typeIds is not null && (uint)c.TypeIds[row] >= (uint)types.Rows)
            {
                ThrowId("token type", c.TypeIds[row], types.Rows);
            }
        }

        return c;
    }

    [DoesNotReturn]
    private static void ThrowId(string what, int id, int count) => throw new DvpException(
        $"The {what} id {id} is outside the model's table of {count}; the text was tokenised for another model.");

    private static void EmbeddingForwardBody(void* context, int piece)
    {
        ref EmbeddingContext c = ref *(EmbeddingContext*)context;
        int columns = c.Y.Columns;
        int end = Math.Min((piece + 1) * c.RowsOfPiece, c.Y.Rows);
        for (int row = piece * c.RowsOfPiece; row < end; row++)
        {
            float* y = c.Y.Row(row);
            float* word = c.Words.Row(c.Ids[row]);
            if (c.Types.Exists)
            {
                CpuRows.Add(y, word, c.Types.Row(c.TypeIds is null ? 0 : c.TypeIds[row]), columns);
                word = y;
            }

            if (c.Positions.Exists)
            {
                CpuRows.Add(y, word, c.Positions.Row(row % c.Tokens), columns);
                word = y;
            }

            if (word != y)
            {
                new ReadOnlySpan<float>(word, columns).CopyTo(new Span<float>(y, columns));
            }
        }
    }

    // A piece owns some columns of every table and adds the rows in order, so repeated ids need no care and the order is fixed.
    private static void EmbeddingBackwardBody(void* context, int piece)
    {
        ref EmbeddingContext c = ref *(EmbeddingContext*)context;
        int start = piece * ColumnPiece * 2;
        int count = Math.Min(ColumnPiece * 2, c.Y.Columns - start);
        for (int row = 0; row < c.Y.Rows; row++)
        {
            float* dy = c.Y.Row(row) + start;
            if (c.Words.Exists && c.Ids[row] != c.Padding)
            {
                CpuRows.Add(c.Words.Row(c.Ids[row]) + start, dy, count);
            }

            if (c.Positions.Exists)
            {
                CpuRows.Add(c.Positions.Row(row % c.Tokens) + start, dy, count);
            }

            if (c.Types.Exists)
            {
                CpuRows.Add(c.Types.Row(c.TypeIds is null ? 0 : c.TypeIds[row]) + start, dy, count);
            }
        }
    }
}
