using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices;

/// <summary>
/// A device: the whole contract between models and hardware. Fused operators, forward and backward, on tensors with shapes.
/// </summary>
/// <remarks>
/// <para>Letters: B batch, T tokens (Tq queries, Tk keys), P prompt tokens, N visual tokens or rows, H heads, D head size, C channels,
/// V visual channels, M prompt attention channels. Outputs come first. A backward operator writes activation gradients (or adds to them
/// where <c>accumulate</c> says so) and always adds to parameter gradients.</para>
/// <para>Only explicit copies (<see cref="Upload(Tensor, ReadOnlySpan{float})"/>, <see cref="Download(Span{float}, Tensor)"/>) move values
/// between host and device, and <see cref="Counters"/> counts them. Operators may be queued; downloads wait for them.</para>
/// <para>A shape that does not fit is a programming error (<see cref="ArgumentException"/>); a missing device or type is a <see cref="DvpException"/>.</para>
/// </remarks>
public abstract partial class Backend : IDisposable
{
    /// <summary>What the device is, as reports print it.</summary>
    public abstract string Name { get; }

    /// <summary>Element type of activations and of frozen parameters.</summary>
    public abstract ElementType ActivationType { get; }

    /// <summary>
    /// Element type of everything that is summed up or kept over many steps: parameters that train, their gradients and moments, the
    /// statistics that norms and attentions keep for their backward pass, loss and norm. F32 whatever the activations are (F64 beside F64).
    /// </summary>
    public virtual ElementType AccumulationType => ActivationType == ElementType.F64 ? ElementType.F64 : ElementType.F32;

    /// <summary>Element type in which matrices that do not train are kept: 16 bits are half the memory traffic.</summary>
    public virtual ElementType FrozenMatrixType => ActivationType;

    /// <summary>
    /// Element type of the residual stream of pre-norm models, to which every layer adds: the accumulation type, since sums of many
    /// layers do not fit 16 bits. The stream enters norms, residual terms and element by element operators only.
    /// </summary>
    public ElementType StreamType => AccumulationType;

    /// <summary>Copies, operators and bytes so far: the proof of what ran where.</summary>
    public DeviceCounters Counters { get; } = new();

    /// <summary>Allocates zeroed device memory.</summary>
    public abstract DeviceBuffer Allocate(long bytes);

    /// <summary>Copies values to the device, converting to the tensor's type. Contiguous tensors only.</summary>
    public abstract void Upload(Tensor destination, ReadOnlySpan<float> source);

    /// <summary>Copies integers (ids, lengths, masks, labels) to an I32 tensor.</summary>
    public abstract void Upload(Tensor destination, ReadOnlySpan<int> source);

    /// <summary>Copies the bytes of a tensor of the very same type, as a file holds them.</summary>
    public abstract void UploadBytes(Tensor destination, ReadOnlySpan<byte> source);

    /// <summary>Waits for the operators that write the tensor and copies its values to the host, row by row, as floats.</summary>
    public abstract void Download(Span<float> destination, Tensor source);

    /// <summary>As <see cref="Download(Span{float}, Tensor)"/>, bytes as they are. Contiguous tensors only.</summary>
    public abstract void DownloadBytes(Span<byte> destination, Tensor source);

    /// <summary>Waits for all queued operators.</summary>
    public abstract void Synchronize();

    /// <summary>
    /// Work that will run many times on the same memory. A device may record it at one of its first runs and replay it from then on, so
    /// the action only calls operators: it copies nothing between host and device, and what changes from run to run (inputs, rates,
    /// dropout state) is read from device memory.
    /// </summary>
    /// <param name="work">Calls the operators; not called by this method.</param>
    public virtual RecordedWork Record(Action work) => new RepeatedWork(work);

    /// <summary>y = value</summary>
    public abstract void Fill(Tensor y, float value);

    /// <summary>y = x, of equal rows and columns; strides may differ.</summary>
    public abstract void Copy(Tensor y, Tensor x);

    /// <summary>y += x</summary>
    public abstract void Add(Tensor y, Tensor x);

    /// <summary>y = dropout(x); the same call with gradients is its backward pass. y may be x.</summary>
    public abstract void DropoutApply(Tensor y, Tensor x, Dropout dropout, bool accumulate);

    // ---- Linear: kernels/matmul_*.cu, kernels/matvec.cu ----

    /// <summary>y = activation(x W^T + b) + residual.</summary>
    /// <param name="y">(N, out)</param>
    /// <param name="preActivation">(N, out) x W^T + b, kept for backward; or null</param>
    /// <param name="x">(N, in)</param>
    /// <param name="weight">(out, in)</param>
    /// <param name="bias">(out); or null</param>
    /// <param name="activation">The activation.</param>
    /// <param name="residual">(N, out); or null</param>
    public abstract void LinearForward(
        Tensor y, Tensor? preActivation, Tensor x, ParameterBlock weight, ParameterBlock? bias, Activation activation, Tensor? residual);

    /// <summary>dx (+)= dy W.</summary>
    public abstract void LinearBackwardInput(Tensor dx, Tensor dy, ParameterBlock weight, bool accumulate);

    /// <summary>dW += dy^T x; db += column sums of dy.</summary>
    public abstract void LinearBackwardParameters(Tensor dweight, Tensor? dbias, Tensor dy, Tensor x);

    /// <summary>y = activation(x) where a norm stands between the product and the activation.</summary>
    public abstract void ActivationForward(Tensor y, Tensor x, Activation activation);

    /// <summary>dx = dy * activation'(preActivation); dx may be dy.</summary>
    public abstract void ActivationBackward(Tensor dx, Tensor dy, Tensor preActivation, Activation activation);

    // ---- Adapter: kernels/adapter.cu ----

    /// <summary>y = x + up(activation(down(x) + b1)) + b2.</summary>
    /// <param name="y">(N, C)</param>
    /// <param name="preActivation">(N, C/r) down(x) + b1, kept for backward</param>
    /// <param name="hidden">(N, C/r) after the activation, kept for backward</param>
    /// <param name="x">(N, C)</param>
    /// <param name="adapter">The four parameters.</param>
    public abstract void AdapterForward(Tensor y, Tensor preActivation, Tensor hidden, Tensor x, AdapterParameters adapter);

    /// <summary>dx = dy + backward through the adapter; parameter gradients are added to.</summary>
    /// <param name="dx">(N, C) must not be dy; or null when nothing below trains</param>
    /// <param name="dhidden">(N, C/r) scratch</param>
    /// <param name="dy">(N, C)</param>
    /// <param name="x">(N, C)</param>
    /// <param name="preActivation">Saved by the forward operator.</param>
    /// <param name="hidden">Saved by the forward operator.</param>
    /// <param name="adapter">The four parameters.</param>
    public abstract void AdapterBackward(
        Tensor? dx, Tensor dhidden, Tensor dy, Tensor x, Tensor preActivation, Tensor hidden, AdapterParameters adapter);

    // ---- Normalisation: kernels/layernorm.cu, kernels/rmsnorm.cu ----

    /// <summary>s = x + residual; y = (s - mean) rstd gamma + beta over the last axis.</summary>
    public abstract void LayerNormForward(NormState saved, Tensor y, Tensor x, Tensor? residual, ParameterBlock gamma, ParameterBlock beta, float epsilon);

    /// <summary>ds (+)= gradient of the sum s, which is that of x and of the residual.</summary>
    public abstract void LayerNormBackward(Tensor ds, Tensor dy, NormState saved, ParameterBlock gamma, bool accumulate);

    /// <summary>dgamma += sum dy n; dbeta += sum dy.</summary>
    public abstract void LayerNormBackwardParameters(Tensor dgamma, Tensor dbeta, Tensor dy, NormState saved);

    /// <summary>s = x + residual; y = s rstd gamma, rstd = 1 / sqrt(mean s^2 + eps).</summary>
    public abstract void RmsNormForward(NormState saved, Tensor y, Tensor x, Tensor? residual, ParameterBlock gamma, float epsilon);

    /// <summary>ds (+)= gradient of the sum s.</summary>
    public abstract void RmsNormBackward(Tensor ds, Tensor dy, NormState saved, ParameterBlock gamma, bool accumulate);

    /// <summary>dgamma += sum dy s rstd.</summary>
    public abstract void RmsNormBackwardParameters(Tensor dgamma, Tensor dy, NormState saved);

    // ---- Attention: kernels/attention_short.cu, kernels/attention_tiled.cu ----

    /// <summary>Elements that <see cref="AttentionForward"/> keeps for backward: what this device prefers (probabilities or row statistics).</summary>
    public abstract int AttentionSavedElements(int batch, int heads, int queries, int keys);

    /// <summary>context = softmax(scale q k^T + bias, masked) v, per head.</summary>
    /// <param name="context">(B, Tq, H D)</param>
    /// <param name="saved">(AttentionSavedElements), or null when no backward pass follows</param>
    /// <param name="q">(B, Tq, H D), rows may be strided</param>
    /// <param name="k">(B, Tk, G D), rows may be strided</param>
    /// <param name="v">(B, Tk, G D), rows may be strided</param>
    /// <param name="options">Heads, masks, dropout.</param>
    public abstract void AttentionForward(Tensor context, Tensor? saved, Tensor q, Tensor k, Tensor v, AttentionOptions options);

    /// <summary>Gradients of <see cref="AttentionForward"/>; each output may be null.</summary>
    /// <param name="dq">as q (=)</param>
    /// <param name="dk">as k (=)</param>
    /// <param name="dv">as v (=)</param>
    /// <param name="dbias">as options.Bias (+=); or null</param>
    /// <param name="dcontext">(B, Tq, H D)</param>
    /// <param name="context">(B, Tq, H D) the forward result</param>
    /// <param name="saved">kept by the forward operator</param>
    /// <param name="q">as in forward</param>
    /// <param name="k">as in forward</param>
    /// <param name="v">as in forward</param>
    /// <param name="options">as in forward</param>
    public abstract void AttentionBackward(
        Tensor? dq, Tensor? dk, Tensor? dv, Tensor? dbias, Tensor dcontext, Tensor context, Tensor saved, Tensor q, Tensor k, Tensor v, AttentionOptions options);

    // ---- Prompt attention: kernels/prompt_attention.cu ----

    /// <summary>
    /// Cross-attention of P queries over N visual tokens without ever making keys and values: u_h = W_K,h^T q_h,
    /// s_n = u_h . x_n / sqrt(D), p = softmax(s), z_h = sum_n p_n x_n, context_h = W_V,h z_h + b_V,h sum_n p_n.
    /// </summary>
    /// <remarks>The key bias adds the same number to every score and cancels. Under dropout sum p is not 1, so it is kept.</remarks>
    /// <param name="saved">u, p, z and sum p, for backward and for showing the attention</param>
    /// <param name="context">(B, P, M)</param>
    /// <param name="q">(B, P, M) projected query</param>
    /// <param name="x">(B, N, V) visual tokens, any float type</param>
    /// <param name="keyWeight">(M, V)</param>
    /// <param name="valueWeight">(M, V)</param>
    /// <param name="valueBias">(M)</param>
    /// <param name="heads">H, divides M</param>
    /// <param name="dropout">on the probabilities; or null</param>
    public abstract void PromptAttentionForward(
        PromptAttentionState saved, Tensor context, Tensor q, Tensor x, ParameterBlock keyWeight, ParameterBlock valueWeight, ParameterBlock valueBias, int heads, Dropout? dropout);

    /// <summary>Gradients of <see cref="PromptAttentionForward"/>: dq (=), dx (=, may be null), and, where they train, dW_K, dW_V, db_V (+=).</summary>
    public abstract void PromptAttentionBackward(
        Tensor? dq, Tensor? dx, Tensor dcontext, PromptAttentionState saved, Tensor q, Tensor x, ParameterBlock keyWeight, ParameterBlock valueWeight, ParameterBlock valueBias, int heads, Dropout? dropout);

    // ---- Tokens: kernels/embedding.cu, kernels/tokens.cu, kernels/patch_embedding.cu ----

    /// <summary>y[b, t] = words[ids[b, t]] + positions[t] + types[typeIds[b, t]].</summary>
    /// <param name="y">(B, T, C)</param>
    /// <param name="ids">I32 (B, T)</param>
    /// <param name="words">(vocabulary, C)</param>
    /// <param name="positions">(at least T, C); or null</param>
    /// <param name="types">(types, C); or null</param>
    /// <param name="typeIds">I32 (B, T); null means type 0</param>
    public abstract void EmbeddingForward(Tensor y, Tensor ids, ParameterBlock words, ParameterBlock? positions, ParameterBlock? types, Tensor? typeIds);

    /// <summary>Adds dy to the rows that were read, in a fixed order; each output may be null.</summary>
    /// <param name="dwords">as words (+=)</param>
    /// <param name="dpositions">as positions (+=)</param>
    /// <param name="dtypes">as types (+=)</param>
    /// <param name="dy">(B, T, C)</param>
    /// <param name="ids">I32 (B, T)</param>
    /// <param name="typeIds">I32 (B, T) or null</param>
    /// <param name="paddingIndex">the row that gets no gradient; -1 for none</param>
    public abstract void EmbeddingBackward(Tensor? dwords, Tensor? dpositions, Tensor? dtypes, Tensor dy, Tensor ids, Tensor? typeIds, int paddingIndex);

    /// <summary>y = concat(prompt + types[1], text + types[0]) along the tokens.</summary>
    /// <param name="y">(B, P + T, C)</param>
    /// <param name="prompt">(B, P, C)</param>
    /// <param name="text">(B, T, C)</param>
    /// <param name="types">(2, C); or null for none</param>
    public abstract void InsertPromptForward(Tensor y, Tensor prompt, Tensor text, ParameterBlock? types);

    /// <summary>dprompt (=), dtext (= or +=), dtypes (+=); each may be null, but not both of the first two, whose shapes tell P.</summary>
    public abstract void InsertPromptBackward(Tensor? dprompt, Tensor? dtext, Tensor? dtypes, Tensor dy, bool accumulateText);

    /// <summary>y = concat(class token, patches) + positions: the input of a vision transformer.</summary>
    /// <param name="y">(B, 1 + n, C)</param>
    /// <param name="patches">(B, n, C)</param>
    /// <param name="classToken">(C)</param>
    /// <param name="positions">(1 + n, C)</param>
    public abstract void VisionTokensForward(Tensor y, Tensor patches, ParameterBlock classToken, ParameterBlock positions);

    /// <summary>y (B, C) = mean over all T tokens of x (B, T, C), padding included.</summary>
    public abstract void MeanTokensForward(Tensor y, Tensor x);

    /// <summary>dx (+)= dy / T on every token.</summary>
    public abstract void MeanTokensBackward(Tensor dx, Tensor dy, bool accumulate);

    /// <summary>patches (B, n, 3 p p) = the squares of pixels (B, 3, S, S'), row by row, channel outermost; what does not fill a patch at the right and bottom is not read.</summary>
    public abstract void ExtractPatches(Tensor patches, Tensor pixels, int patch);

    // ---- T5 and LLaMA: kernels/rotary.cu, kernels/relative_bias.cu, kernels/gated_mlp.cu ----

    /// <summary>Turns pairs (i, i + D/2) of every head by position * theta^(-2i/D); <paramref name="direction"/> -1 turns back, which is the backward pass. y may be x.</summary>
    /// <param name="y">(B, T, H D)</param>
    /// <param name="x">(B, T, H D)</param>
    /// <param name="positions">I32 (B, T)</param>
    /// <param name="heads">H</param>
    /// <param name="theta">Base of the frequencies.</param>
    /// <param name="direction">1 or -1</param>
    public abstract void Rotary(Tensor y, Tensor x, Tensor positions, int heads, float theta, int direction);

    /// <summary>The same with the frequency of each pair given, for models that scale them (LLaMA 3.1).</summary>
    /// <param name="y">(B, T, H D)</param>
    /// <param name="x">(B, T, H D)</param>
    /// <param name="positions">I32 (B, T)</param>
    /// <param name="heads">H</param>
    /// <param name="frequencies">(D / 2) in the accumulation type</param>
    /// <param name="direction">1 or -1</param>
    /// <exception cref="DvpException">The device has no such operator.</exception>
    public virtual void Rotary(Tensor y, Tensor x, Tensor positions, int heads, Tensor frequencies, int direction) =>
        throw new DvpException($"{Name} has no rotary positions with scaled frequencies; run this model on another device (--device cpu).");

    /// <summary>bias (H, Tq, Tk) = weight[bucket(key - query)], weight (buckets, H): T5's relative positions.</summary>
    /// <param name="bias">(H, Tq, Tk)</param>
    /// <param name="weight">(buckets, H)</param>
    /// <param name="bidirectional">Encoder: half of the buckets for each direction.</param>
    /// <param name="maxDistance">Distance from which on all share the last bucket.</param>
    public abstract void RelativeBiasForward(Tensor bias, ParameterBlock weight, bool bidirectional, int maxDistance);

    /// <summary>dweight += sums of dbias over the positions of each bucket.</summary>
    public abstract void RelativeBiasBackward(Tensor dweight, Tensor dbias, bool bidirectional, int maxDistance);

    /// <summary>y = activation(gate) * up.</summary>
    public abstract void GatedForward(Tensor y, Tensor gate, Tensor up, Activation activation);

    /// <summary>dgate = dy * up * activation'(gate); dup = dy * activation(gate).</summary>
    public abstract void GatedBackward(Tensor dgate, Tensor dup, Tensor dy, Tensor gate, Tensor up, Activation activation);

    // ---- Losses: kernels/softmax_cross_entropy.cu, kernels/bce_with_logits.cu ----

    /// <summary>loss = scale * mean over rows whose label is not <paramref name="ignore"/> of the cross-entropy; dlogits (=) its gradient, or null.</summary>
    /// <param name="loss">(1)</param>
    /// <param name="dlogits">(N, classes); or null; may be logits</param>
    /// <param name="logits">(N, classes)</param>
    /// <param name="labels">I32 (N)</param>
    /// <param name="ignore">Label of rows that do not count; all ignored gives 0.</param>
    /// <param name="smoothing">Share of the target spread evenly over all classes.</param>
    /// <param name="scale">Factor on loss and gradient (gradient accumulation).</param>
    /// <param name="lossScale">(1) a further factor, on the gradient alone, read on the device; null for 1</param>
    public abstract void SoftmaxCrossEntropy(
        Tensor loss, Tensor? dlogits, Tensor logits, Tensor labels, int ignore, float smoothing, float scale, Tensor? lossScale = null);

    /// <summary>loss = scale * (1/N) sum over all elements of log(1 + e^z) - z y (the mean times the number of labels); dlogits (=) = scale (sigmoid(z) - y) / N, or null.</summary>
    /// <param name="loss">(1)</param>
    /// <param name="dlogits">(N, labels); or null; may be logits</param>
    /// <param name="logits">(N, labels)</param>
    /// <param name="targets">(N, labels) in [0, 1]</param>
    /// <param name="scale">Factor on loss and gradient (gradient accumulation).</param>
    /// <param name="lossScale">(1) a further factor, on the gradient alone, read on the device; null for 1</param>
    public abstract void BceWithLogits(Tensor loss, Tensor? dlogits, Tensor logits, Tensor targets, float scale, Tensor? lossScale = null);

    // ---- Optimiser: kernels/adamw.cu, kernels/global_norm.cu, kernels/loss_scale.cu ----

    /// <summary>norm (1) = square root of the sum of all squares, summed in a fixed order, over the scale of the gradients.</summary>
    /// <param name="norm">(1) no finite number where a gradient is none</param>
    /// <param name="gradients">The gradients.</param>
    /// <param name="lossScale">(1) the factor that the loss put on the gradients; null for 1</param>
    public abstract void GlobalNorm(Tensor norm, IReadOnlyList<Tensor> gradients, Tensor? lossScale = null);

    /// <summary>One AdamW step over all active parameters. The caller notes the change with <see cref="ParameterBlock.Touch"/>.</summary>
    /// <remarks>
    /// Rate, counts, norm and loss are read on the device, so that a recorded step can be replayed. Where norm or loss is given and no
    /// finite number, nothing changes, the counts neither. A device may keep tables by the identity of the list: once passed, the list
    /// and what its entries say stay as they are.
    /// </remarks>
    /// <param name="parameters">The tensors; inactive ones are skipped.</param>
    /// <param name="options">Hyper-parameters.</param>
    /// <param name="rate">F32 (1) the base learning rate of this step</param>
    /// <param name="updateCounts">I32 (parameters) updates of each tensor so far; the operator adds 1 to those of active tensors, then reads them</param>
    /// <param name="norm">(1) the gradients' global norm, for options.MaxNorm and to see that they are numbers; null only when that is 0</param>
    /// <param name="loss">(1) the loss of the step; or null</param>
    /// <param name="lossScale">(1) the factor that the loss put on the gradients, which the update takes off again; null for 1</param>
    public abstract void AdamW(
        IReadOnlyList<AdamWParameter> parameters, in AdamWOptions options, Tensor rate, Tensor updateCounts, Tensor? norm, Tensor? loss,
        Tensor? lossScale = null);

    /// <summary>
    /// The loss scale of the next step. Where the norm is a finite number, one more good step: at options.Interval of them the scale grows
    /// and the count starts again. Where it is none, the scale shrinks, the count starts again, and one more step was skipped.
    /// </summary>
    /// <param name="state">(3) in the accumulation type, updated in place: the scale, good steps since it last changed, steps skipped</param>
    /// <param name="norm">(1) the global norm of the gradients of this step</param>
    /// <param name="options">How the scale moves.</param>
    public abstract void UpdateLossScale(Tensor state, Tensor norm, in LossScaleOptions options);

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Frees the device; a second call does nothing.</summary>
    protected virtual void Dispose(bool disposing)
    {
    }
}
