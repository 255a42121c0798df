using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

// How the work is cut into blocks stands in CudaBackend.PromptPlan.cs.
public sealed partial class CudaBackend
{
    /// <summary>context from q and the visual tokens in one read of them; see kernels/prompt_attention.cu and prompt_attention_mma.cu.</summary>
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
        if (p.TensorCores)
        {
            Kernel("prompt_attention_forward_mma", "prompt_attention_mma", x.Type, p.Options).Launch(
                p.Grid, PromptThreads, p.SharedBytes,
                saved.Probabilities, z, saved.ProbabilitySum, part, saved.Absorbed, x, StreamOf(dropout), dropout?.KeepMask,
                p.Prompts, p.Heads, p.Tokens, p.Channels, x.RowStride, p.Rows, p.SplitTokens, (int)p.KeepType, dropout?.Site ?? 0,
                p.Scale, dropout?.Rate ?? 0);
        }
        else
        {
            Kernel("prompt_attention_forward", "prompt_attention", ElementType.F32, p.Options).Launch(
                p.Grid, PromptThreads, p.SharedBytes,
                saved.Probabilities, z, saved.ProbabilitySum, part, saved.Absorbed, x, StreamOf(dropout), dropout?.KeepMask,
                p.Prompts, p.Heads, p.Tokens, p.Channels, (int)x.Type, x.RowStride, p.Tile, p.SplitTokens, (int)p.KeepType, dropout?.Site ?? 0,
                p.Scale, dropout?.Rate ?? 0);
        }

        if (p.Splits > 1)
        {
            Kernel("prompt_attention_forward_join", "prompt_attention_join", ElementType.F32).Launch(
                p.Batch * p.AllRows, 256, 0,
                saved.Probabilities, saved.Condensed, saved.ProbabilitySum, part, z,
                p.Batch, p.Prompts, p.Heads, p.Tokens, p.Channels, p.Splits);
        }

        PromptProject(context, saved.Condensed, valueWeight, valueBias, saved.ProbabilitySum, p);
    }

    /// <summary>Gradients in one read of the visual tokens, a second one where they train; see kernels/prompt_attention.cu and prompt_attention_mma.cu.</summary>
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
        if (p.TensorCores)
        {
            Kernel("prompt_attention_backward_mma", "prompt_attention_mma", x.Type, p.Options).Launch(
                p.Grid, PromptThreads, p.SharedBytes,
                part, dscores, dz, saved.Condensed, saved.Probabilities, saved.ProbabilitySum, dkept, x,
                StreamOf(dropout), dropout?.KeepMask,
                p.Prompts, p.Heads, p.Tokens, p.Channels, x.RowStride, p.Rows, p.SplitTokens,
                (int)p.KeepType, dropout?.Site ?? 0, p.Scale, dropout?.Rate ?? 0);
        }
        else
        {
            Kernel("prompt_attention_backward", "prompt_attention", ElementType.F32, p.Options).Launch(
                p.Grid, PromptThreads, p.SharedBytes,
                part, dscores, dz, saved.Condensed, saved.Probabilities, saved.ProbabilitySum, dkept, x,
                StreamOf(dropout), dropout?.KeepMask,
                p.Prompts, p.Heads, p.Tokens, p.Channels, (int)x.Type, x.RowStride, p.Tile, p.SplitTokens,
                (int)p.KeepType, dropout?.Site ?? 0, p.Scale, dropout?.Rate ?? 0);
        }

        if (p.Splits > 1)
        {
            Kernel("prompt_attention_backward_join", "prompt_attention_join", ElementType.F32).Launch(
                checked((int)((p.Elements + 255) / 256)), 256, 0, du, part, p.Elements, p.Splits);
        }

        if (dx is not null)
        {
            Kernel("prompt_attention_backward_tokens", "prompt_attention_tokens", ElementType.F32).Launch(
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
}
