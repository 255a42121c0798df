using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

// Operators that have no kernel yet: each leaves this list when its launcher arrives.
public sealed partial class CudaBackend
{
    /// <inheritdoc/>
    public override int AttentionSavedElements(int batch, int heads, int queries, int keys) => throw Missing();

    /// <inheritdoc/>
    public override void AttentionForward(Tensor context, Tensor? saved, Tensor q, Tensor k, Tensor v, AttentionOptions options) => throw Missing();

    /// <inheritdoc/>
    public override void AttentionBackward( Tensor? dq, Tensor? dk, Tensor? dv, Tensor? dbias, Tensor dcontext, Tensor context, Tensor saved, Tensor q, Tensor k, Tensor v, AttentionOptions options) => throw Missing();

    /// <inheritdoc/>
    public override void PromptAttentionForward( PromptAttentionState saved, Tensor context, Tensor q, Tensor x, ParameterBlock keyWeight, ParameterBlock valueWeight, ParameterBlock valueBias, int heads, Dropout? dropout) => throw Missing();

    /// <inheritdoc/>
    public override void PromptAttentionBackward( Tensor? dq, Tensor? dx, Tensor dcontext, PromptAttentionState saved, Tensor q, Tensor x, ParameterBlock keyWeight, ParameterBlock valueWeight, ParameterBlock valueBias, int heads, Dropout? dropout) => throw Missing();

    /// <inheritdoc/>
    public override void Rotary(Tensor y, Tensor x, Tensor positions, int heads, float theta, int direction) => throw Missing();

    /// <inheritdoc/>
    public override void RelativeBiasForward(Tensor bias, ParameterBlock weight, bool bidirectional, int maxDistance) => throw Missing();

    /// <inheritdoc/>
    public override void RelativeBiasBackward(Tensor dweight, Tensor dbias, bool bidirectional, int maxDistance) => throw Missing();

    internal static InvalidOperationException Missing() => new("This operator has no kernel.");
}
