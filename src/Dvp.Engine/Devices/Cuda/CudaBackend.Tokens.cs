using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

// Tokens of a sequence: kernels/tokens.cu, kernels/patch_embedding.cu.
public sealed partial class CudaBackend
{
    private const string TokensFile = "tokens";
    private const int TokensThreads = 256;

    /// <inheritdoc/>
    public override void InsertPromptForward(Tensor y, Tensor prompt, Tensor text, ParameterBlock? types)
    {
        const string Operation = nameof(InsertPromptForward);
        CudaShapes.Require(y.Shape.Length == 3 && prompt.Shape.Length == 3 && text.Shape.Length == 3, Operation, y, text);
        int prompts = prompt.Extent(1);
        int tokens = text.Extent(1);
        CudaShapes.Require(
            prompt.Columns == y.Columns && text.Columns == y.Columns && y.Extent(1) == prompts + tokens
            && prompt.Extent(0) == y.Extent(0) && text.Extent(0) == y.Extent(0),
            Operation, y, text);
        CudaShapes.Require(types is null || (types.Value.Columns == y.Columns && types.Value.Rows >= 2), Operation, y, types?.Value);

        Kernel("insert_prompt_forward", TokensFile, _real).Launch(y.Rows, RowThreads(y.Columns), 0,
            y, prompt, text, types is null ? null : Form(types),
            CudaShapes.IsFloat(y, _real, Operation), CudaShapes.IsFloat(prompt, _real, Operation), CudaShapes.IsFloat(text, _real, Operation),
            (long)y.RowStride, (long)prompt.RowStride, (long)text.RowStride, prompts, tokens, y.Columns);
    }

    /// <inheritdoc/>
    public override void InsertPromptBackward(Tensor? dprompt, Tensor? dtext, Tensor? dtypes, Tensor dy, bool accumulateText)
    {
        const string Operation = nameof(InsertPromptBackward);
        CudaShapes.Require(dy.Shape.Length == 3, Operation, dy);
        int batch = dy.Extent(0);
        int all = dy.Extent(1);

        // Either of the two gives the split.
        CudaShapes.Require(dprompt is not null || dtext is not null, Operation, dy);
        int prompts = dprompt?.Extent(1) ?? (all - dtext!.Extent(1));
        CudaShapes.Require(dprompt is null || (dprompt.Columns == dy.Columns && dprompt.Rows == batch * prompts), Operation, dy, dprompt);
        CudaShapes.Require(dtext is null || (dtext.Columns == dy.Columns && dtext.Rows == batch * (all - prompts)), Operation, dy, dtext);
        int dyIsFloat = CudaShapes.IsFloat(dy, _real, Operation);

        Kernel("insert_prompt_backward", TokensFile, _real).Launch(dy.Rows, RowThreads(dy.Columns), 0,
            dprompt, dtext, dy, CudaShapes.IsFloat(dprompt, _real, Operation), CudaShapes.IsFloat(dtext, _real, Operation), dyIsFloat,
            (long)(dprompt?.RowStride ?? 0), (long)(dtext?.RowStride ?? 0), (long)dy.RowStride,
            prompts, all - prompts, dy.Columns, accumulateText ? 1 : 0);
        if (dtypes is not null)
        {
            CudaShapes.RequireFlat(dtypes, ElementType.F32, 2L * dy.Columns, Operation);
            Kernel("insert_prompt_backward_types", TokensFile, _real).Launch(DivideUp(dy.Columns, WarpSize), (WarpSize, ParameterSumWarps(dy.Rows)), 0,
                dtypes, dy, dyIsFloat, (long)dy.RowStride, batch, prompts, all - prompts, dy.Columns);
        }
    }

    /// <inheritdoc/>
    public override void VisionTokensForward(Tensor y, Tensor patches, ParameterBlock classToken, ParameterBlock positions)
    {
        const string Operation = nameof(VisionTokensForward);
        CudaShapes.Require(y.Shape.Length == 3 && patches.Shape.Length == 3, Operation, y, patches);
        CudaShapes.Require(
            y.Extent(0) == patches.Extent(0) && y.Extent(1) == patches.Extent(1) + 1 && y.Columns == patches.Columns, Operation, y, patches);
        CudaShapes.Require(positions.Value.Rows >= y.Extent(1) && positions.Value.Columns == y.Columns, Operation, y, positions.Value);
        CudaShapes.Require(classToken.Value.Count == y.Columns, Operation, y, classToken.Value);

        Kernel("vision_tokens_forward", TokensFile, _real).Launch(y.Rows, RowThreads(y.Columns), 0,
            y, patches, Form(classToken), Form(positions), CudaShapes.IsFloat(y, _real, Operation),
            (long)y.RowStride, (long)patches.RowStride, patches.Extent(1), y.Columns);
    }

    /// <inheritdoc/>
    public override void MeanTokensForward(Tensor y, Tensor x)
    {
        const string Operation = nameof(MeanTokensForward);
        CudaShapes.Require(y.Columns == x.Columns && y.Rows > 0 && x.Rows % y.Rows == 0, Operation, y, x);

        Kernel("mean_tokens_forward", TokensFile, _real).Launch((DivideUp(y.Columns, TokensThreads), y.Rows), TokensThreads, 0,
            y, x, CudaShapes.IsFloat(y, _real, Operation), CudaShapes.IsFloat(x, _real, Operation),
            (long)y.RowStride, (long)x.RowStride, x.Rows / y.Rows, y.Columns);
    }

    /// <inheritdoc/>
    public override void MeanTokensBackward(Tensor dx, Tensor dy, bool accumulate)
    {
        const string Operation = nameof(MeanTokensBackward);
        CudaShapes.Require(dx.Columns == dy.Columns && dy.Rows > 0 && dx.Rows % dy.Rows == 0, Operation, dx, dy);

        Kernel("mean_tokens_backward", TokensFile, _real).Launch((DivideUp(dy.Columns, TokensThreads), dy.Rows), TokensThreads, 0,
            dx, dy, CudaShapes.IsFloat(dx, _real, Operation), CudaShapes.IsFloat(dy, _real, Operation),
            (long)dx.RowStride, (long)dy.RowStride, dx.Rows / dy.Rows, dy.Columns, accumulate ? 1 : 0);
    }

    /// <inheritdoc/>
    public override void ExtractPatches(Tensor patches, Tensor pixels, int patch)
    {
        const string Operation = nameof(ExtractPatches);
        CudaShapes.Require(pixels.Shape.Length == 4 && patch > 0 && pixels.IsContiguous, Operation, pixels);
        int count = pixels.Extent(0) * (pixels.Extent(2) / patch) * (pixels.Extent(3) / patch);
        CudaShapes.Require(patches.Columns == pixels.Extent(1) * patch * patch && patches.Rows == count, Operation, patches, pixels);

        Kernel("extract_patches", "patch_embedding", _real).Launch(count, RowThreads(patches.Columns), 0,
            patches, pixels, CudaShapes.IsFloat(pixels, _real, Operation),
            (long)patches.RowStride, pixels.Extent(1), pixels.Extent(2), pixels.Extent(3), patch);
    }

    /// <summary>Threads of a block that works on one row: whole warps, no more than the row has use for.</summary>
    private static int RowThreads(int columns) => Math.Clamp(DivideUp(columns, WarpSize) * WarpSize, WarpSize, TokensThreads);

    /// <summary>Warps that share the rows of a sum over rows: more than eight rows each.</summary>
    private static int ParameterSumWarps(int rows) => Math.Clamp(rows / 8, 1, WarpSize);
}
