using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

public sealed partial class CudaBackend
{
    /// <summary>Rows (a head of a query) of a block at most: kRows in kernels/prompt_attention.cu.</summary>
    private const int PromptRows = 16;

    /// <summary>Threads of a block: kThreads there.</summary>
    private const int PromptThreads = 256;

    /// <summary>The most static shared memory of its kernels, which the launch cannot ask for as well.</summary>
    internal const int PromptFixedBytes = 2 << 10;

    /// <summary>Sizes of one prompt attention and how its work is cut into blocks.</summary>
    /// <param name="Batch">B</param>
    /// <param name="Prompts">P</param>
    /// <param name="Heads">H</param>
    /// <param name="HeadSize">D</param>
    /// <param name="Tokens">N</param>
    /// <param name="Channels">V</param>
    /// <param name="Rows">Rows of a block: 4, 8, 12 or 16.</param>
    /// <param name="Tile">Tokens in shared memory at a time: 4, 8 or 16.</param>
    /// <param name="SplitTokens">Tokens of a block.</param>
    /// <param name="KeepType">Type of explicit dropout factors.</param>
    private readonly record struct PromptPlan(
        int Batch, int Prompts, int Heads, int HeadSize, int Tokens, int Channels, int Rows, int Tile, int SplitTokens, ElementType KeepType)
    {
        public int AllRows => Prompts * Heads;

        /// <summary>B P: queries of all sequences.</summary>
        public int Queries => Batch * Prompts;

        public int Splits => DivideUp(Tokens, SplitTokens);

        public Extents Grid => (DivideUp(AllRows, Rows), Batch, Splits);

        /// <summary>Elements of u, z and their gradients.</summary>
        public long Elements => (long)Batch * AllRows * Channels;

        /// <summary>The variant of the kernels.</summary>
        public string Options => Rows switch
        {
            4 => "tile_rows=4",
            8 => "tile_rows=8",
            12 => "tile_rows=12",
            16 => "tile_rows=16",
            _ => throw new InvalidOperationException($"prompt_attention.cu has no variant for {Rows} rows."),
        };

        public int SharedBytes => sizeof(float) * (((Rows + Tile) * Channels) + (8 / (Tile / 4) * Tile * PromptRows));

        public float Scale => 1 / MathF.Sqrt(HeadSize);
    }

    /// <summary>context from q and the visual tokens in one read of them; see kernels/prompt_attention.cu.</summary>
    public override void PromptAttentionForward(
        PromptAttentionState saved, Tensor context, Tensor q, Tensor x,
        ParameterBlock keyWeight, ParameterBlock valueWeight, ParameterBlock valueBias, int heads, Dropout? dropout)
    {
        PromptPlan p = PlanPrompt(nameof(PromptAttentionForward), saved, context, q, x, keyWeight, valueWeight, valueBias, heads, dropout);
        (long parts, long partZ) = p.Splits == 1 ? (0, 0) : (3L * p.Splits * p.Batch * p.AllRows, p.Splits * p.Elements);
        Workspace space = new(this, Workspace.Rounded(parts * sizeof(float)) + (partZ * sizeof(float)));
        KernelArgument part = space.Take(parts * sizeof(float));
        KernelArgument z = p.Splits == 1 ? saved.Condensed : space.Take(partZ * sizeof(float));

        PromptAbsorb(saved.Absorbed, q, keyWeight, p);
        PromptKernel("prompt_attention_forward", p).Launch(
            p.Grid, PromptThreads, p.SharedBytes,
            saved.Probabilities, z, saved.ProbabilitySum, part, saved.Absorbed, x, StreamOf(dropout), dropout?.KeepMask,
            p.Prompts, p.Heads, p.Tokens, p.Channels, (int)x.Type, x.RowStride, p.Tile, p.SplitTokens, (int)p.KeepType, dropout?.Site ?? 0,
            p.Scale, dropout?.Rate ?? 0);
        if (p.Splits > 1)
        {
            PromptKernel("prompt_attention_forward_join", p).Launch(
                p.Batch * p.AllRows, 256, 0,
                saved.Probabilities, saved.Condensed, saved.ProbabilitySum, part, z,
                p.Batch, p.Prompts, p.Heads, p.Tokens, p.Channels, p.Splits);
        }

        PromptProject(context, saved.Condensed, valueWeight, valueBias, saved.ProbabilitySum, p);
    }

    /// <summary>Gradients in one read of the visual tokens, a second one where they train; see kernels/prompt_attention.cu.</summary>
    public override void PromptAttentionBackward(
        Tensor? dq, Tensor? dx, Tensor dcontext, PromptAttentionState saved, Tensor q, Tensor x,
        ParameterBlock keyWeight, ParameterBlock valueWeight, ParameterBlock valueBias, int heads, Dropout? dropout)
    {
        const string Operation = nameof(PromptAttentionBackward);
        PromptPlan p = PlanPrompt(Operation, saved, dcontext, q, x, keyWeight, valueWeight, valueBias, heads, dropout);
        CudaShapes.RequireEqual(q, dq, Operation);
        CudaShapes.RequireEqual(x, dx, Operation);
        CudaShapes.Require(dx is null || IsStored(dx.Type), Operation, x, dx);
        long bytes = p.Elements * sizeof(float);
        long scoreBytes = dx is null ? 0 : (long)p.Batch * p.AllRows * p.Tokens * sizeof(float);
        long partBytes = p.Splits == 1 ? 0 : p.Splits * bytes;
        long keptBytes = (long)p.Batch * p.AllRows * sizeof(float);
        Workspace space = new(this, (2 * Workspace.Rounded(bytes)) + Workspace.Rounded(keptBytes) + Workspace.Rounded(scoreBytes) + partBytes);
        (KernelArgument dz, KernelArgument du) = (space.Take(bytes), space.Take(bytes));
        KernelArgument dkept = space.Take(keptBytes);
        KernelArgument dscores = space.Take(scoreBytes);
        KernelArgument part = p.Splits == 1 ? du : space.Take(partBytes);

        if (valueWeight.Gradient is { } dvalue)
        {
            PromptWeights(dvalue, dcontext, saved.Condensed, p);
        }

        if (valueBias.Gradient is { } dbias)
        {
            Kernel("prompt_projection_value_bias", "prompt_projection", _real).Launch(
                DivideUp(q.Columns, 32), (32, 8), 0,
                dbias, dcontext, saved.ProbabilitySum, p.Queries, p.Heads, p.HeadSize, dcontext.RowStride);
        }

        if (dq is null && dx is null && !keyWeight.Trains)
        {
            return;
        }

        PromptAbsorb(dz, dcontext, valueWeight, p);
        Kernel("prompt_projection_kept", "prompt_projection", _real).Launch(
            DivideUp(p.Queries * p.Heads, 8), (32, 8), 0, dkept, dcontext, Form(valueBias), p.Queries, p.Heads, p.HeadSize, dcontext.RowStride);
        PromptKernel("prompt_attention_backward", p).Launch(
            p.Grid, PromptThreads, p.SharedBytes,
            part, dscores, dz, saved.Condensed, saved.Probabilities, saved.ProbabilitySum, dkept, x,
            StreamOf(dropout), dropout?.KeepMask,
            p.Prompts, p.Heads, p.Tokens, p.Channels, (int)x.Type, x.RowStride, p.Tile, p.SplitTokens,
            (int)p.KeepType, dropout?.Site ?? 0, p.Scale, dropout?.Rate ?? 0);
        if (p.Splits > 1)
        {
            PromptKernel("prompt_attention_backward_join", p).Launch(
                checked((int)((p.Elements + 255) / 256)), 256, 0, du, part, p.Elements, p.Splits);
        }

        if (dx is not null)
        {
            PromptKernel("prompt_attention_backward_tokens", p).Launch(
                (DivideUp(p.Tokens, 8), p.Batch), 256, 0,
                dx, dscores, dz, saved.Absorbed, saved.Probabilities, StreamOf(dropout), dropout?.KeepMask,
                p.Prompts, p.Heads, p.Tokens, p.Channels, dx.RowStride, (int)dx.Type, (int)p.KeepType, dropout?.Site ?? 0, dropout?.Rate ?? 0);
        }

        if (keyWeight.Gradient is { } dkey)
        {
            PromptWeights(dkey, q, du, p);
        }

        if (dq is not null)
        {
            PromptProject(dq, du, keyWeight, null, null, p);
        }
    }

    /// <summary>The kernel for so many rows of a block. The type of the visual tokens is an argument: one compilation serves all.</summary>
    private CudaKernel PromptKernel(string entry, PromptPlan plan) => Kernel(entry, "prompt_attention", ElementType.F32, plan.Options);

    private void PromptAbsorb(KernelArgument u, Tensor a, ParameterBlock weight, PromptPlan p) =>
        Kernel("prompt_projection_absorb", "prompt_projection", _real).Launch(
            (DivideUp(p.Channels, 64), DivideUp(p.Queries, 64), p.Heads), 256, 0,
            u, a, Form(weight), p.Queries, p.Heads, p.HeadSize, p.Channels, a.RowStride);

    private void PromptProject(Tensor y, KernelArgument z, ParameterBlock weight, ParameterBlock? bias, Tensor? factor, PromptPlan p) =>
        Kernel("prompt_projection_project", "prompt_projection", _real).Launch(
            (DivideUp(p.HeadSize, 32), DivideUp(p.Queries, 32), p.Heads), 256, 0,
            y, z, Form(weight), bias is null ? null : Form(bias), factor, p.Queries, p.Heads, p.HeadSize, p.Channels, y.RowStride);

    private void PromptWeights(Tensor dweight, Tensor a, KernelArgument g, PromptPlan p) =>
        Kernel("prompt_projection_weights", "prompt_projection", _real).Launch(
            (DivideUp(p.Channels, 64), DivideUp(p.HeadSize, 64), p.Heads), 256, 0,
            dweight, a, g, p.Queries, p.Heads, p.HeadSize, p.Channels, a.RowStride);

    private PromptPlan PlanPrompt(
        string operation, PromptAttentionState saved, Tensor context, Tensor q, Tensor x,
        ParameterBlock keyWeight, ParameterBlock valueWeight, ParameterBlock valueBias, int heads, Dropout? dropout)
    {
        CudaShapes.Require(q.Shape.Length == 3 && x.Shape.Length == 3 && q.Extent(0) == x.Extent(0), operation, q, x);
        CudaShapes.Require(heads > 0 && q.Columns % heads == 0, operation, q);
        CudaShapes.RequireEqual(q, context, operation);
        (Tensor key, Tensor value) = (keyWeight.Value, valueWeight.Value);
        CudaShapes.Require(key.Rows == q.Columns && key.Columns == x.Columns && key.IsContiguous, operation, key, x);
        CudaShapes.RequireEqual(key, value, operation);
        CudaShapes.Require(value.IsContiguous && valueBias.Value.Count == q.Columns, operation, value, valueBias.Value);
        CudaShapes.Require(IsStored(x.Type), operation, x);
        (int batch, int prompts, int tokens, int channels) = (q.Extent(0), q.Extent(1), x.Extent(1), x.Columns);
        long rows = (long)batch * prompts * heads;
        CudaShapes.RequireFlat(saved.Absorbed, ElementType.F32, rows * channels, operation);
        CudaShapes.RequireFlat(saved.Condensed, ElementType.F32, rows * channels, operation);
        CudaShapes.RequireFlat(saved.Probabilities, ElementType.F32, rows * tokens, operation);
        CudaShapes.RequireFlat(saved.ProbabilitySum, ElementType.F32, rows, operation);
        CheckDropout(dropout, rows * tokens, operation);
        ElementType keepType = dropout?.KeepMask?.Type ?? ElementType.F32;

        PromptPlan plan = new(batch, prompts, heads, q.Columns / heads, tokens, channels, 0, 0, tokens, keepType);
        plan = FitPrompt(plan);
        CudaShapes.Require(plan.SharedBytes <= BlockSharedBytes - PromptFixedBytes, operation, x);
        int blocks = Math.Max(1, plan.Grid.X * plan.Grid.Y);
        int splits = Math.Clamp(Multiprocessors / blocks, 1, Math.Max(1, DivideUp(tokens, 2 * plan.Tile)));
        return plan with { SplitTokens = Math.Max(plan.Tile, DivideUp(DivideUp(tokens, splits), plan.Tile) * plan.Tile) };
    }

    /// <summary>All rows of a sequence in one block, so that its tokens are read once, and as many tokens at a time as fit beside them.</summary>
    private static PromptPlan FitPrompt(PromptPlan plan)
    {
        int groups = DivideUp(plan.AllRows, PromptRows);
        for (int rows = Math.Max(4, DivideUp(DivideUp(plan.AllRows, groups), 4) * 4); ; rows -= 4)
        {
            for (int tile = 16; tile >= 4; tile /= 2)
            {
                plan = plan with { Rows = rows, Tile = tile };
                if (plan.SharedBytes <= BlockSharedBytes - PromptFixedBytes || (rows == 4 && tile == 4))
                {
                    return plan;
                }
            }
        }
    }
}
