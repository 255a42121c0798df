using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cpu;
using Dvp.Engine.Tensors;
using Xunit;

namespace Dvp.Tests.Ops.Cpu;

/// <summary>Operators on the processor make no managed allocation once their working memory is there.</summary>
public sealed class CpuAllocationTests : IDisposable
{
    private const int Batch = 9;
    private const int Tokens = 17;
    private const int Channels = 72;
    private const int Heads = 3;
    private readonly CpuBackend _backend = new(2);
    private readonly Arena _arena;

    public CpuAllocationTests() => _arena = new Arena(_backend);

    [Fact]
    public void Layers_forward_and_backward()
    {
        (Tensor x, Tensor y, Tensor dx, Tensor dy) = (States(), States(), States(), States());
        (ParameterBlock gamma, ParameterBlock beta) = (Parameter(Channels), Parameter(Channels));
        NormState norm = new(States(), Make(Batch * Tokens), Make(Batch * Tokens));
        ParameterBlock weight = Parameter(Channels, Channels);
        ParameterBlock frozen = new(Make(Channels, Channels), null);
        AdapterParameters adapter = new(Parameter(8, Channels), Parameter(8), Parameter(Channels, 8), Parameter(Channels), Activation.Relu);
        (Tensor pre, Tensor hidden, Tensor dhidden) = (Make(Batch, Tokens, 8), Make(Batch, Tokens, 8), Make(Batch, Tokens, 8));
        Dropout dropout = NewDropout();
        AllocatesNothing(() =>
        {
            _backend.LayerNormForward(norm, y, x, dy, gamma, beta, 1e-5f);
            _backend.LayerNormBackward(dx, dy, norm, gamma, accumulate: false);
            _backend.LayerNormBackwardParameters(gamma.Gradient!, beta.Gradient!, dy, norm);
            weight.Touch();
            _backend.LinearForward(y, dx, x, weight, gamma, Activation.GeluErf, dy);
            _backend.LinearForward(y, null, x, frozen, null, Activation.None, null);
            _backend.LinearBackwardInput(dx, dy, weight, accumulate: true);
            _backend.LinearBackwardParameters(weight.Gradient!, gamma.Gradient, dy, x);
            _backend.AdapterForward(y, pre, hidden, x, adapter);
            _backend.AdapterBackward(dx, dhidden, dy, x, pre, hidden, adapter);
            _backend.ActivationBackward(dx, dy, x, Activation.GeluErf);
            _backend.DropoutApply(dx, dy, dropout, accumulate: false);
            _backend.Copy(dx, dy);
            _backend.Add(dx, dy);
            _backend.Fill(dx, 0);
        });
    }

    [Fact]
    public void Attention_forward_and_backward()
    {
        (Tensor q, Tensor k, Tensor v, Tensor context) = (States(), States(), States(), States());
        (Tensor dq, Tensor dk, Tensor dv, Tensor dcontext) = (States(), States(), States(), States());
        Tensor lengths = _arena.Allocate(ElementType.I32, Batch);
        _backend.Upload(lengths, [17, 9, 1, 0, 17, 5, 6, 7, 8]);
        AttentionOptions options = new(Heads, Heads, 0.2f, KeyLengths: lengths, Dropout: NewDropout());
        Tensor saved = Make(_backend.AttentionSavedElements(Batch, Heads, Tokens, Tokens));

        (Tensor prompt, Tensor condensed, Tensor dprompt) = (Make(Batch, 1, Channels), Make(Batch, 1, Channels), Make(Batch, 1, Channels));
        Tensor tokens = _arena.Allocate(ElementType.F16, Batch, 33, 40);
        PromptAttentionState state = new(
            Make(Batch, 1, Heads * 40), Make(Batch, Heads, 1, 33), Make(Batch, 1, Heads * 40), Make(Batch, 1, Heads));
        (ParameterBlock key, ParameterBlock value, ParameterBlock bias) =
            (Parameter(Channels, 40), Parameter(Channels, 40), Parameter(Channels));
        AllocatesNothing(() =>
        {
            _backend.AttentionForward(context, saved, q, k, v, options);
            _backend.AttentionBackward(dq, dk, dv, null, dcontext, context, saved, q, k, v, options);
            _backend.PromptAttentionForward(state, condensed, prompt, tokens, key, value, bias, Heads, options.Dropout);
            _backend.PromptAttentionBackward(dprompt, null, condensed, state, prompt, tokens, key, value, bias, Heads, options.Dropout);
        });
    }

    [Fact]
    public void Loss_and_update()
    {
        (Tensor logits, Tensor targets, Tensor loss, Tensor norm) = (Make(Batch, 50), Make(Batch, 50), Make(1), Make(1));
        Tensor labels = _arena.Allocate(ElementType.I32, Batch);
        Tensor scale = Make(3);
        AdamWParameter[] parameters =
        [
            new() { Value = Make(20000), Gradient = Make(20000), FirstMoment = Make(20000), SecondMoment = Make(20000) },
            new() { Value = Make(7), Gradient = Make(7), FirstMoment = Make(7), SecondMoment = Make(7) },
        ];
        Tensor rate = Make(1);
        Tensor counts = _arena.Allocate(ElementType.I32, 2);
        _backend.Upload(counts, (int[])[0, 0]);
        Tensor[] gradients = [.. parameters.Select(p => p.Gradient)];
        AllocatesNothing(() =>
        {
            _backend.SoftmaxCrossEntropy(loss, logits, logits, labels, -100, 0, 1);
            _backend.BceWithLogits(loss, logits, logits, targets, 1);
            _backend.GlobalNorm(norm, gradients);
            _backend.AdamW(parameters, new AdamWOptions(0.9f, 0.98f, 1e-8f, false, 1), rate, counts, norm, loss);
            _backend.UpdateLossScale(scale, norm, new LossScaleOptions(2, 0.5f, 2000, 1, 65536));
        });
    }

    public void Dispose()
    {
        _arena.Dispose();
        _backend.Dispose();
    }

    private static void AllocatesNothing(Action step)
    {
        step();
        step();
        long before = GC.GetAllocatedBytesForCurrentThread();
        step();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    private Tensor States() => Make(Batch, Tokens, Channels);

    private ParameterBlock Parameter(params ReadOnlySpan<int> shape) => new(Make(shape), Make(shape));

    private Dropout NewDropout()
    {
        Tensor state = _arena.Allocate(ElementType.I32, 4);
        _backend.Upload(state, [1, 2, 3, 4]);
        return new Dropout(0.1f, Site: 1, state);
    }

    private Tensor Make(params ReadOnlySpan<int> shape)
    {
        Tensor tensor = _arena.Allocate(ElementType.F32, shape);
        _backend.Fill(tensor, 0.5f);
        return tensor;
    }
}
