using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cpu;

public sealed unsafe partial class CpuBackend
{
    private struct TokensContext
    {
        internal View Y;
        internal View Prompt;
        internal View Text;
        internal View Types;
        internal float* ClassToken;
        internal int Prompts;
        internal int Tokens;
        internal bool Accumulate;
        internal int RowsOfPiece;
    }

    private struct PatchContext
    {
        internal View Patches;
        internal View Pixels;
        internal int Channels;
        internal int Height;
        internal int Patch;
        internal int Across;
        internal int Down;
    }

    /// <inheritdoc/>
    public override void InsertPromptForward(Tensor y, Tensor prompt, Tensor text, ParameterBlock? types)
    {
        NoteLaunch();
        TokensContext c = InsertPrompt(nameof(InsertPromptForward), y, prompt, text, types?.Value);
        Run(Pieces(y.Rows, c.RowsOfPiece), &InsertPromptForwardBody, &c);
    }

    /// <inheritdoc/>
    public override void InsertPromptBackward(Tensor? dprompt, Tensor? dtext, Tensor? dtypes, Tensor dy, bool accumulateText)
    {
        NoteLaunch();
        TokensContext c = InsertPromptGradients(dprompt, dtext, dtypes, dy);
        c.Accumulate = accumulateText;
        Run(Pieces(dy.Rows, c.RowsOfPiece), &InsertPromptBackwardBody, &c);
        if (dtypes is not null)
        {
            Run(Pieces(dy.Columns, ColumnPiece), &InsertPromptTypesBody, &c);
        }
    }

    /// <inheritdoc/>
    public override void VisionTokensForward(Tensor y, Tensor patches, ParameterBlock classToken, ParameterBlock positions)
    {
        const string Operation = nameof(VisionTokensForward);
        NoteLaunch();
        Require(y.Shape.Length == 3 && patches.Shape.Length == 3, Operation, y, patches);
        Require(
            y.Extent(0) == patches.Extent(0) && y.Extent(1) == patches.Extent(1) + 1 && y.Columns == patches.Columns,
            Operation, y, patches);
        Require(positions.Value.Rows >= y.Extent(1) && positions.Value.Columns == y.Columns, Operation, y, positions.Value);
        TokensContext c = new()
        {
            Y = new View(y, Operation),
            Text = new View(patches, Operation),
            ClassToken = Flat(classToken.Value, y.Columns, Operation),
            Types = new View(positions.Value, Operation),
            Tokens = patches.Extent(1),
            RowsOfPiece = RowsOfPiece(y.Columns),
        };
        Run(Pieces(y.Rows, c.RowsOfPiece), &VisionTokensBody, &c);
    }

    /// <inheritdoc/>
    public override void MeanTokensForward(Tensor y, Tensor x)
    {
        const string Operation = nameof(MeanTokensForward);
        NoteLaunch();
        Require(y.Columns == x.Columns && y.Rows > 0 && x.Rows % y.Rows == 0, Operation, y, x);
        TokensContext c = new() { Y = new View(y, Operation), Text = new View(x, Operation), Tokens = x.Rows / y.Rows };
        c.RowsOfPiece = RowsOfPiece(x.Columns * c.Tokens);
        Run(Pieces(y.Rows, c.RowsOfPiece), &MeanTokensForwardBody, &c);
    }

    /// <inheritdoc/>
    public override void MeanTokensBackward(Tensor dx, Tensor dy, bool accumulate)
    {
        const string Operation = nameof(MeanTokensBackward);
        NoteLaunch();
        Require(dx.Columns == dy.Columns && dy.Rows > 0 && dx.Rows % dy.Rows == 0, Operation, dx, dy);
        TokensContext c = new()
        {
            Y = new View(dy, Operation),
            Text = new View(dx, Operation),
            Tokens = dx.Rows / dy.Rows,
            Accumulate = accumulate,
        };
        c.RowsOfPiece = RowsOfPiece(dx.Columns * c.Tokens);
        Run(Pieces(dy.Rows, c.RowsOfPiece), &MeanTokensBackwardBody, &c);
    }

    /// <inheritdoc/>
    public override void ExtractPatches(Tensor patches, Tensor pixels, int patch)
    {
        const string Operation = nameof(ExtractPatches);
        NoteLaunch();
        Require(pixels.Shape.Length == 4 && patch > 0, Operation, pixels);
        PatchContext c = new()
        {
            Patches = new View(patches, Operation),
            Pixels = new View(pixels, Operation),
            Channels = pixels.Extent(1),
            Height = pixels.Extent(2),
            Patch = patch,
            Across = pixels.Extent(3) / patch,
            Down = pixels.Extent(2) / patch,
        };
        Require(
            patches.Columns == c.Channels * patch * patch && patches.Rows == pixels.Extent(0) * c.Across * c.Down,
            Operation, patches, pixels);
        Run(pixels.Extent(0) * c.Down, &ExtractPatchesBody, &c);
    }

    private static TokensContext InsertPrompt(string operation, Tensor y, Tensor prompt, Tensor text, Tensor? types)
    {
        Require(y.Shape.Length == 3 && prompt.Shape.Length == 3 && text.Shape.Length == 3, operation, y, text);
        int prompts = prompt.Extent(1);
        int tokens = text.Extent(1);
        Require(
            prompt.Columns == y.Columns && text.Columns == y.Columns && y.Extent(1) == prompts + tokens
            && prompt.Extent(0) == y.Extent(0) && text.Extent(0) == y.Extent(0),
            operation, y, text);
        Require(types is null || (types.Columns == y.Columns && types.Rows >= 2), operation, y, types);
        return new TokensContext
        {
            Y = new View(y, operation),
            Prompt = new View(prompt, operation),
            Text = new View(text, operation),
            Types = Optional(types, operation),
            Prompts = prompts,
            Tokens = tokens,
            RowsOfPiece = RowsOfPiece(y.Columns),
        };
    }

    private static TokensContext InsertPromptGradients(Tensor? dprompt, Tensor? dtext, Tensor? dtypes, Tensor dy)
    {
        const string Operation = nameof(InsertPromptBackward);
        Require(dy.Shape.Length == 3, Operation, dy);
        int all = dy.Extent(1);

        // Either of the two gives the split.
        Require(dprompt is not null || dtext is not null, Operation, dy);
        int prompts = dprompt?.Extent(1) ?? (all - dtext!.Extent(1));
        Require(dprompt is null || (dprompt.Columns == dy.Columns && dprompt.Rows == dy.Extent(0) * prompts), Operation, dy, dprompt);
        Require(dtext is null || (dtext.Columns == dy.Columns && dtext.Rows == dy.Extent(0) * (all - prompts)), Operation, dy, dtext);
        return new TokensContext
        {
            Y = new View(dy, Operation),
            Prompt = Optional(dprompt, Operation),
            Text = Optional(dtext, Operation),
            Types = Optional(dtypes, Operation),
            Prompts = prompts,
            Tokens = all - prompts,
            RowsOfPiece = RowsOfPiece(dy.Columns),
        };
    }

    private static void InsertPromptForwardBody(void* context, int piece)
    {
        ref TokensContext c = ref *(TokensContext*)context;
        int all = c.Prompts + c.Tokens;
        int columns = c.Y.Columns;
        int end = Math.Min((piece + 1) * c.RowsOfPiece, c.Y.Rows);
        for (int row = piece * c.RowsOfPiece; row < end; row++)
        {
            (int batch, int token) = Math.DivRem(row, all);
            bool isPrompt = token < c.Prompts;
            float* x = isPrompt
                ? c.Prompt.Row(((long)batch * c.Prompts) + token)
                : c.Text.Row(((long)batch * c.Tokens) + token - c.Prompts);
            if (c.Types.Exists)
            {
                CpuRows.Add(c.Y.Row(row), x, c.Types.Row(isPrompt ? 1 : 0), columns);
            }
            else
            {
                new ReadOnlySpan<float>(x, columns).CopyTo(new Span<float>(c.Y.Row(row), columns));
            }
        }
    }

    private static void InsertPromptBackwardBody(void* context, int piece)
    {
        ref TokensContext c = ref *(TokensContext*)context;
        int all = c.Prompts + c.Tokens;
        int columns = c.Y.Columns;
        int end = Math.Min((piece + 1) * c.RowsOfPiece, c.Y.Rows);
        for (int row = piece * c.RowsOfPiece; row < end; row++)
        {
            (int batch, int token) = Math.DivRem(row, all);
            bool isPrompt = token < c.Prompts;
            View target = isPrompt ? c.Prompt : c.Text;
            if (!target.Exists)
            {
                continue;
            }

            float* to = isPrompt
                ? target.Row(((long)batch * c.Prompts) + token)
                : target.Row(((long)batch * c.Tokens) + token - c.Prompts);
            if (!isPrompt && c.Accumulate)
            {
                CpuRows.Add(to, c.Y.Row(row), columns);
            }
            else
            {
                new ReadOnlySpan<float>(c.Y.Row(row), columns).CopyTo(new Span<float>(to, columns));
            }
        }
    }

    private static void InsertPromptTypesBody(void* context, int piece)
    {
        ref TokensContext c = ref *(TokensContext*)context;
        int all = c.Prompts + c.Tokens;
        int start = piece * ColumnPiece;
        int count = Math.Min(ColumnPiece, c.Y.Columns - start);
        float* sums = stackalloc float[2 * ColumnPiece];
        new Span<float>(sums, 2 * ColumnPiece).Clear();
        for (int row = 0; row < c.Y.Rows; row++)
        {
            CpuRows.Add(sums + (row % all < c.Prompts ? ColumnPiece : 0), c.Y.Row(row) + start, count);
        }

        CpuRows.Add(c.Types.Row(0) + start, sums, count);
        CpuRows.Add(c.Types.Row(1) + start, sums + ColumnPiece, count);
    }

    private static void VisionTokensBody(void* context, int piece)
    {
        ref TokensContext c = ref *(TokensContext*)context;
        int all = c.Tokens + 1;
        int end = Math.Min((piece + 1) * c.RowsOfPiece, c.Y.Rows);
        for (int row = piece * c.RowsOfPiece; row < end; row++)
        {
            (int batch, int token) = Math.DivRem(row, all);
            float* x = token == 0 ? c.ClassToken : c.Text.Row(((long)batch * c.Tokens) + token - 1);
            CpuRows.Add(c.Y.Row(row), x, c.Types.Row(token), c.Y.Columns);
        }
    }

    private static void MeanTokensForwardBody(void* context, int piece)
    {
        ref TokensContext c = ref *(TokensContext*)context;
        int columns = c.Y.Columns;
        int end = Math.Min((piece + 1) * c.RowsOfPiece, c.Y.Rows);
        for (int row = piece * c.RowsOfPiece; row < end; row++)
        {
            float* y = c.Y.Row(row);
            long first = (long)row * c.Tokens;
            new ReadOnlySpan<float>(c.Text.Row(first), columns).CopyTo(new Span<float>(y, columns));
            for (int token = 1; token < c.Tokens; token++)
            {
                CpuRows.Add(y, c.Text.Row(first + token), columns);
            }

            CpuRows.Scale(y, 1f / c.Tokens, y, columns);
        }
    }

    private static void MeanTokensBackwardBody(void* context, int piece)
    {
        ref TokensContext c = ref *(TokensContext*)context;
        int columns = c.Y.Columns;
        float share = 1f / c.Tokens;
        int end = Math.Min((piece + 1) * c.RowsOfPiece, c.Y.Rows);
        for (int row = piece * c.RowsOfPiece; row < end; row++)
        {
            float* dy = c.Y.Row(row);
            for (int token = 0; token < c.Tokens; token++)
            {
                float* dx = c.Text.Row(((long)row * c.Tokens) + token);
                if (c.Accumulate)
                {
                    CpuRows.AddScaled(dx, share, dy, columns);
                }
                else
                {
                    CpuRows.Scale(dx, share, dy, columns);
                }
            }
        }
    }

    // A piece is one row of patches of one picture.
    private static void ExtractPatchesBody(void* context, int piece)
    {
        ref PatchContext c = ref *(PatchContext*)context;
        (int picture, int down) = Math.DivRem(piece, c.Down);
        int patch = c.Patch;
        for (int across = 0; across < c.Across; across++)
        {
            float* to = c.Patches.Row((((long)picture * c.Down) + down) * c.Across + across);
            for (int channel = 0; channel < c.Channels; channel++)
            {
                for (int line = 0; line < patch; line++)
                {
                    long row = ((((long)picture * c.Channels) + channel) * c.Height) + (down * patch) + line;
                    float* from = c.Pixels.Row(row) + (across * patch);
                    new ReadOnlySpan<float>(from, patch).CopyTo(new Span<float>(to, patch));
                    to += patch;
                }
            }
        }
    }
}
