using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

// Operators that have no kernel yet: each leaves this list when its launcher arrives.
public sealed partial class CudaBackend
{
    /// <inheritdoc/>
    public override void Fill(Tensor y, float value) => throw Missing();

    /// <inheritdoc/>
    public override void Copy(Tensor y, Tensor x) => throw Missing();

    /// <inheritdoc/>
    public override void Add(Tensor y, Tensor x) => throw Missing();

    /// <inheritdoc/>
    public override void DropoutApply(Tensor y, Tensor x, Dropout dropout, bool accumulate) => throw Missing();

    /// <inheritdoc/>
    public override void ActivationForward(Tensor y, Tensor x, Activation activation) => throw Missing();

    /// <inheritdoc/>
    public override void ActivationBackward(Tensor dx, Tensor dy, Tensor preActivation, Activation activation) => throw Missing();

    /// <inheritdoc/>
    public override void LayerNormForward(NormState saved, Tensor y, Tensor x, Tensor? residual, ParameterBlock gamma, ParameterBlock beta, float epsilon) => throw Missing();

    /// <inheritdoc/>
    public override void LayerNormBackward(Tensor ds, Tensor dy, NormState saved, ParameterBlock gamma, bool accumulate) => throw Missing();

    /// <inheritdoc/>
    public override void LayerNormBackwardParameters(Tensor dgamma, Tensor dbeta, Tensor dy, NormState saved) => throw Missing();

    /// <inheritdoc/>
    public override void RmsNormForward(NormState saved, Tensor y, Tensor x, Tensor? residual, ParameterBlock gamma, float epsilon) => throw Missing();

    /// <inheritdoc/>
    public override void RmsNormBackward(Tensor ds, Tensor dy, NormState saved, ParameterBlock gamma, bool accumulate) => throw Missing();

    /// <inheritdoc/>
    public override void RmsNormBackwardParameters(Tensor dgamma, Tensor dy, NormState saved) => throw Missing();

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
    public override void EmbeddingForward(Tensor y, Tensor ids, ParameterBlock words, ParameterBlock? positions, ParameterBlock? types, Tensor? typeIds) => throw Missing();

    /// <inheritdoc/>
    public override void EmbeddingBackward(Tensor? dwords, Tensor? dpositions, Tensor? dtypes, Tensor dy, Tensor ids, Tensor? typeIds, int paddingIndex) => throw Missing();

    /// <inheritdoc/>
    public override void Rotary(Tensor y, Tensor x, Tensor positions, int heads, float theta, int direction) => throw Missing();

    /// <inheritdoc/>
    public override void RelativeBiasForward(Tensor bias, ParameterBlock weight, bool bidirectional, int maxDistance) => throw Missing();

    /// <inheritdoc/>
    public override void RelativeBiasBackward(Tensor dweight, Tensor dbias, bool bidirectional, int maxDistance) => throw Missing();

    /// <inheritdoc/>
    public override void SoftmaxCrossEntropy(Tensor loss, Tensor? dlogits, Tensor logits, Tensor labels, int ignore, float smoothing, float scale) => throw Missing();

    /// <inheritdoc/>
    public override void BceWithLogits(Tensor loss, Tensor? dlogits, Tensor logits, Tensor targets, float scale) => throw Missing();

    internal static InvalidOperationException Missing() => new("This operator has no kernel.");
}
