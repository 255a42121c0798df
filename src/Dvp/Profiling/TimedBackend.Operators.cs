using System.Diagnostics;
using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Profiling;

public sealed partial class TimedBackend
{
    /// <inheritdoc/>
    public override void Fill(Tensor y, float value)
    {
        long start = Stopwatch.GetTimestamp();
        inner.Fill(y, value);
        Note(nameof(Fill), start);
    }

    /// <inheritdoc/>
    public override void Copy(Tensor y, Tensor x)
    {
        long start = Stopwatch.GetTimestamp();
        inner.Copy(y, x);
        Note(nameof(Copy), start);
    }

    /// <inheritdoc/>
    public override void Add(Tensor y, Tensor x)
    {
        long start = Stopwatch.GetTimestamp();
        inner.Add(y, x);
        Note(nameof(Add), start);
    }

    /// <inheritdoc/>
    public override void DropoutApply(Tensor y, Tensor x, Dropout dropout, bool accumulate)
    {
        long start = Stopwatch.GetTimestamp();
        inner.DropoutApply(y, x, dropout, accumulate);
        Note(nameof(DropoutApply), start);
    }

    /// <inheritdoc/>
    public override void LinearForward(
        Tensor y, Tensor? preActivation, Tensor x, ParameterBlock weight, ParameterBlock? bias, Activation activation, Tensor? residual)
    {
        long start = Stopwatch.GetTimestamp();
        inner.LinearForward(y, preActivation, x, weight, bias, activation, residual);
        Note(nameof(LinearForward), start);
    }

    /// <inheritdoc/>
    public override void LinearBackwardInput(Tensor dx, Tensor dy, ParameterBlock weight, bool accumulate)
    {
        long start = Stopwatch.GetTimestamp();
        inner.LinearBackwardInput(dx, dy, weight, accumulate);
        Note(nameof(LinearBackwardInput), start);
    }

    /// <inheritdoc/>
    public override void LinearBackwardParameters(Tensor dweight, Tensor? dbias, Tensor dy, Tensor x)
    {
        long start = Stopwatch.GetTimestamp();
        inner.LinearBackwardParameters(dweight, dbias, dy, x);
        Note(nameof(LinearBackwardParameters), start);
    }

    /// <inheritdoc/>
    public override void ActivationForward(Tensor y, Tensor x, Activation activation)
    {
        long start = Stopwatch.GetTimestamp();
        inner.ActivationForward(y, x, activation);
        Note(nameof(ActivationForward), start);
    }

    /// <inheritdoc/>
    public override void ActivationBackward(Tensor dx, Tensor dy, Tensor preActivation, Activation activation)
    {
        long start = Stopwatch.GetTimestamp();
        inner.ActivationBackward(dx, dy, preActivation, activation);
        Note(nameof(ActivationBackward), start);
    }

    /// <inheritdoc/>
    public override void AdapterForward(Tensor y, Tensor preActivation, Tensor hidden, Tensor x, AdapterParameters adapter)
    {
        long start = Stopwatch.GetTimestamp();
        inner.AdapterForward(y, preActivation, hidden, x, adapter);
        Note(nameof(AdapterForward), start);
    }

    /// <inheritdoc/>
    public override void AdapterBackward(
        Tensor? dx, Tensor dhidden, Tensor dy, Tensor x, Tensor preActivation, Tensor hidden, AdapterParameters adapter)
    {
        long start = Stopwatch.GetTimestamp();
        inner.AdapterBackward(dx, dhidden, dy, x, preActivation, hidden, adapter);
        Note(nameof(AdapterBackward), start);
    }

    /// <inheritdoc/>
    public override void LayerNormForward(
        NormState saved, Tensor y, Tensor x, Tensor? residual, ParameterBlock gamma, ParameterBlock beta, float epsilon)
    {
        long start = Stopwatch.GetTimestamp();
        inner.LayerNormForward(saved, y, x, residual, gamma, beta, epsilon);
        Note(nameof(LayerNormForward), start);
    }

    /// <inheritdoc/>
    public override void LayerNormBackward(Tensor ds, Tensor dy, NormState saved, ParameterBlock gamma, bool accumulate)
    {
        long start = Stopwatch.GetTimestamp();
        inner.LayerNormBackward(ds, dy, saved, gamma, accumulate);
        Note(nameof(LayerNormBackward), start);
    }

    /// <inheritdoc/>
    public override void LayerNormBackwardParameters(Tensor dgamma, Tensor dbeta, Tensor dy, NormState saved)
    {
        long start = Stopwatch.GetTimestamp();
        inner.LayerNormBackwardParameters(dgamma, dbeta, dy, saved);
        Note(nameof(LayerNormBackwardParameters), start);
    }

    /// <inheritdoc/>
    public override void RmsNormForward(NormState saved, Tensor y, Tensor x, Tensor? residual, ParameterBlock gamma, float epsilon)
    {
        long start = Stopwatch.GetTimestamp();
        inner.RmsNormForward(saved, y, x, residual, gamma, epsilon);
        Note(nameof(RmsNormForward), start);
    }

    /// <inheritdoc/>
    public override void RmsNormBackward(Tensor ds, Tensor dy, NormState saved, ParameterBlock gamma, bool accumulate)
    {
        long start = Stopwatch.GetTimestamp();
        inner.RmsNormBackward(ds, dy, saved, gamma, accumulate);
        Note(nameof(RmsNormBackward), start);
    }

    /// <inheritdoc/>
    public override void RmsNormBackwardParameters(Tensor dgamma, Tensor dy, NormState saved)
    {
        long start = Stopwatch.GetTimestamp();
        inner.RmsNormBackwardParameters(dgamma, dy, saved);
        Note(nameof(RmsNormBackwardParameters), start);
    }

    /// <inheritdoc/>
    public override void AttentionForward(Tensor context, Tensor? saved, Tensor q, Tensor k, Tensor v, AttentionOptions options)
    {
        long start = Stopwatch.GetTimestamp();
        inner.AttentionForward(context, saved, q, k, v, options);
        Note(nameof(AttentionForward), start);
    }

    /// <inheritdoc/>
    public override void AttentionBackward(
        Tensor? dq, Tensor? dk, Tensor? dv, Tensor? dbias, Tensor dcontext, Tensor context, Tensor saved, Tensor q, Tensor k, Tensor v,
        AttentionOptions options)
    {
        long start = Stopwatch.GetTimestamp();
        inner.AttentionBackward(dq, dk, dv, dbias, dcontext, context, saved, q, k, v, options);
        Note(nameof(AttentionBackward), start);
    }

    /// <inheritdoc/>
    public override void PromptAttentionForward(
        PromptAttentionState saved, Tensor context, Tensor q, Tensor x, ParameterBlock keyWeight, ParameterBlock valueWeight,
        ParameterBlock valueBias, int heads, Dropout? dropout)
    {
        long start = Stopwatch.GetTimestamp();
        inner.PromptAttentionForward(saved, context, q, x, keyWeight, valueWeight, valueBias, heads, dropout);
        Note(nameof(PromptAttentionForward), start);
    }

    /// <inheritdoc/>
    public override void PromptAttentionBackward(
        Tensor? dq, Tensor? dx, Tensor dcontext, PromptAttentionState saved, Tensor q, Tensor x, ParameterBlock keyWeight,
        ParameterBlock valueWeight, ParameterBlock valueBias, int heads, Dropout? dropout)
    {
        long start = Stopwatch.GetTimestamp();
        inner.PromptAttentionBackward(dq, dx, dcontext, saved, q, x, keyWeight, valueWeight, valueBias, heads, dropout);
        Note(nameof(PromptAttentionBackward), start);
    }

    /// <inheritdoc/>
    public override void EmbeddingForward(
        Tensor y, Tensor ids, ParameterBlock words, ParameterBlock? positions, ParameterBlock? types, Tensor? typeIds)
    {
        long start = Stopwatch.GetTimestamp();
        inner.EmbeddingForward(y, ids, words, positions, types, typeIds);
        Note(nameof(EmbeddingForward), start);
    }

    /// <inheritdoc/>
    public override void EmbeddingBackward(
        Tensor? dwords, Tensor? dpositions, Tensor? dtypes, Tensor dy, Tensor ids, Tensor? typeIds, int paddingIndex)
    {
        long start = Stopwatch.GetTimestamp();
        inner.EmbeddingBackward(dwords, dpositions, dtypes, dy, ids, typeIds, paddingIndex);
        Note(nameof(EmbeddingBackward), start);
    }

    /// <inheritdoc/>
    public override void InsertPromptForward(Tensor y, Tensor prompt, Tensor text, ParameterBlock? types)
    {
        long start = Stopwatch.GetTimestamp();
        inner.InsertPromptForward(y, prompt, text, types);
        Note(nameof(InsertPromptForward), start);
    }

    /// <inheritdoc/>
    public override void InsertPromptBackward(Tensor? dprompt, Tensor? dtext, Tensor? dtypes, Tensor dy, bool accumulateText)
    {
        long start = Stopwatch.GetTimestamp();
        inner.InsertPromptBackward(dprompt, dtext, dtypes, dy, accumulateText);
        Note(nameof(InsertPromptBackward), start);
    }

    /// <inheritdoc/>
    public override void VisionTokensForward(Tensor y, Tensor patches, ParameterBlock classToken, ParameterBlock positions)
    {
        long start = Stopwatch.GetTimestamp();
        inner.VisionTokensForward(y, patches, classToken, positions);
        Note(nameof(VisionTokensForward), start);
    }

    /// <inheritdoc/>
    public override void MeanTokensForward(Tensor y, Tensor x)
    {
        long start = Stopwatch.GetTimestamp();
        inner.MeanTokensForward(y, x);
        Note(nameof(MeanTokensForward), start);
    }

    /// <inheritdoc/>
    public override void MeanTokensBackward(Tensor dx, Tensor dy, bool accumulate)
    {
        long start = Stopwatch.GetTimestamp();
        inner.MeanTokensBackward(dx, dy, accumulate);
        Note(nameof(MeanTokensBackward), start);
    }

    /// <inheritdoc/>
    public override void ExtractPatches(Tensor patches, Tensor pixels, int patch)
    {
        long start = Stopwatch.GetTimestamp();
        inner.ExtractPatches(patches, pixels, patch);
        Note(nameof(ExtractPatches), start);
    }

    /// <inheritdoc/>
    public override void Rotary(Tensor y, Tensor x, Tensor positions, int heads, float theta, int direction)
    {
        long start = Stopwatch.GetTimestamp();
        inner.Rotary(y, x, positions, heads, theta, direction);
        Note(nameof(Rotary), start);
    }

    /// <inheritdoc/>
    public override void Rotary(Tensor y, Tensor x, Tensor positions, int heads, Tensor frequencies, int direction)
    {
        long start = Stopwatch.GetTimestamp();
        inner.Rotary(y, x, positions, heads, frequencies, direction);
        Note(nameof(Rotary), start);
    }

    /// <inheritdoc/>
    public override void RelativeBiasForward(Tensor bias, ParameterBlock weight, bool bidirectional, int maxDistance)
    {
        long start = Stopwatch.GetTimestamp();
        inner.RelativeBiasForward(bias, weight, bidirectional, maxDistance);
        Note(nameof(RelativeBiasForward), start);
    }

    /// <inheritdoc/>
    public override void RelativeBiasBackward(Tensor dweight, Tensor dbias, bool bidirectional, int maxDistance)
    {
        long start = Stopwatch.GetTimestamp();
        inner.RelativeBiasBackward(dweight, dbias, bidirectional, maxDistance);
        Note(nameof(RelativeBiasBackward), start);
    }

    /// <inheritdoc/>
    public override void GatedForward(Tensor y, Tensor gate, Tensor up, Activation activation)
    {
        long start = Stopwatch.GetTimestamp();
        inner.GatedForward(y, gate, up, activation);
        Note(nameof(GatedForward), start);
    }

    /// <inheritdoc/>
    public override void GatedBackward(Tensor dgate, Tensor dup, Tensor dy, Tensor gate, Tensor up, Activation activation)
    {
        long start = Stopwatch.GetTimestamp();
        inner.GatedBackward(dgate, dup, dy, gate, up, activation);
        Note(nameof(GatedBackward), start);
    }

    /// <inheritdoc/>
    public override void SoftmaxCrossEntropy(
        Tensor loss, Tensor? dlogits, Tensor logits, Tensor labels, int ignore, float smoothing, float scale, Tensor? lossScale = null)
    {
        long start = Stopwatch.GetTimestamp();
        inner.SoftmaxCrossEntropy(loss, dlogits, logits, labels, ignore, smoothing, scale, lossScale);
        Note(nameof(SoftmaxCrossEntropy), start);
    }

    /// <inheritdoc/>
    public override void BceWithLogits(Tensor loss, Tensor? dlogits, Tensor logits, Tensor targets, float scale, Tensor? lossScale = null)
    {
        long start = Stopwatch.GetTimestamp();
        inner.BceWithLogits(loss, dlogits, logits, targets, scale, lossScale);
        Note(nameof(BceWithLogits), start);
    }

    /// <inheritdoc/>
    public override void GlobalNorm(Tensor norm, IReadOnlyList<Tensor> gradients, Tensor? lossScale = null)
    {
        long start = Stopwatch.GetTimestamp();
        inner.GlobalNorm(norm, gradients, lossScale);
        Note(nameof(GlobalNorm), start);
    }

    /// <inheritdoc/>
    public override void AdamW(
        IReadOnlyList<AdamWParameter> parameters, in AdamWOptions options, Tensor rate, Tensor updateCounts, Tensor? norm, Tensor? loss,
        Tensor? lossScale = null)
    {
        long start = Stopwatch.GetTimestamp();
        inner.AdamW(parameters, in options, rate, updateCounts, norm, loss, lossScale);
        Note(nameof(AdamW), start);
    }

    /// <inheritdoc/>
    public override void UpdateLossScale(Tensor state, Tensor norm, in LossScaleOptions options)
    {
        long start = Stopwatch.GetTimestamp();
        inner.UpdateLossScale(state, norm, in options);
        Note(nameof(UpdateLossScale), start);
    }
}
