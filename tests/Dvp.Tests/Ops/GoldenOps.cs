using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;
using static Dvp.Engine.Tensors.ElementType;

namespace Dvp.Tests.Ops;

/// <summary>The operators of the golden files in the operators of the contract: one body each, for every device.</summary>
internal static partial class GoldenOps
{
    /// <summary>Case folder that holds no tensors: the vectors of Philox, which have tests of their own.</summary>
    public const string PhiloxCase = "philox4x32-10";

    /// <summary>The body of each <c>op</c>.</summary>
    public static IReadOnlyDictionary<string, Action<GoldenCase>> Bodies { get; } =
        new Dictionary<string, Action<GoldenCase>>(StringComparer.Ordinal)
        {
            ["activation"] = Activations,
            ["adamw"] = AdamW,
            ["adapter"] = Adapter,
            ["add_layer_norm"] = LayerNorm,
            ["add_rms_norm"] = RmsNorm,
            ["attention"] = Attention,
            ["bce_with_logits"] = BinaryCrossEntropy,
            ["cast"] = Cast,
            ["clip_global_norm"] = ClipGlobalNorm,
            ["embedding"] = Embedding,
            ["gated_activation"] = GatedActivation,
            ["gated_mlp"] = GatedMlp,
            ["insert_prompt"] = InsertPrompt,
            ["layer_norm"] = LayerNorm,
            ["linear"] = Linear,
            ["mean_tokens"] = MeanTokens,
            ["patch_embedding"] = PatchEmbedding,
            ["prompt_attention"] = PromptAttention,
            ["rms_norm"] = RmsNorm,
            ["rotary"] = Rotary,
            ["softmax"] = Softmax,
            ["softmax_cross_entropy"] = CrossEntropy,
            ["t5_position_bias"] = RelativeBias,
            ["t5_relative_position_bucket"] = RelativeBuckets,
        };

    private static void Activations(GoldenCase c)
    {
        Tensor x = c.Input("x");
        Tensor y = c.OutputLike("x");
        c.Device.ActivationForward(y, x, c.Activation);
        c.Result("output", y);
        Tensor dx = c.OutputLike("x");
        c.Device.ActivationBackward(dx, c.Input("output_gradient"), x, c.Activation);
        c.Result("gradients.x", dx);
    }

    private static void GatedActivation(GoldenCase c)
    {
        (Tensor gate, Tensor up) = (c.Input("gate"), c.Input("up"));
        Tensor y = c.OutputLike("gate");
        c.Device.GatedForward(y, gate, up, c.Activation);
        c.Result("output", y);
        (Tensor dgate, Tensor dup) = (c.OutputLike("gate"), c.OutputLike("up"));
        c.Device.GatedBackward(dgate, dup, c.Input("output_gradient"), gate, up, c.Activation);
        c.Result("gradients.gate", dgate);
        c.Result("gradients.up", dup);
    }

    private static void GatedMlp(GoldenCase c)
    {
        Tensor x = c.Input("x");
        ParameterBlock gateWeight = c.Parameter("gate.weight");
        ParameterBlock upWeight = c.Parameter("up.weight");
        ParameterBlock downWeight = c.Parameter("down.weight");
        int[] wide = [.. c.Shape("x")[..^1], gateWeight.Value.Rows];
        (Tensor gate, Tensor up, Tensor hidden) = (c.Bench.Output(wide), c.Bench.Output(wide), c.Bench.Output(wide));
        c.Device.LinearForward(gate, null, x, gateWeight, null, Activation.None, null);
        c.Device.LinearForward(up, null, x, upWeight, null, Activation.None, null);
        c.Device.GatedForward(hidden, gate, up, c.Activation);
        Tensor y = c.OutputLike("output_gradient");
        c.Device.LinearForward(y, null, hidden, downWeight, null, Activation.None, null);
        c.Result("output", y);

        Tensor dy = c.Input("output_gradient");
        (Tensor dhidden, Tensor dgate, Tensor dup) = (c.Bench.Output(wide), c.Bench.Output(wide), c.Bench.Output(wide));
        c.Device.LinearBackwardParameters(downWeight.Gradient!, null, dy, hidden);
        c.Device.LinearBackwardInput(dhidden, dy, downWeight, accumulate: false);
        c.Device.GatedBackward(dgate, dup, dhidden, gate, up, c.Activation);
        c.Device.LinearBackwardParameters(gateWeight.Gradient!, null, dgate, x);
        c.Device.LinearBackwardParameters(upWeight.Gradient!, null, dup, x);
        Tensor dx = c.OutputLike("x");
        c.Device.LinearBackwardInput(dx, dgate, gateWeight, accumulate: false);
        c.Device.LinearBackwardInput(dx, dup, upWeight, accumulate: true);
        c.Result("gradients.x", dx);
        c.Gradient("gate.weight", gateWeight);
        c.Gradient("up.weight", upWeight);
        c.Gradient("down.weight", downWeight);
    }

    /// <summary>An upload of floats to a tensor of 16-bit floats rounds; a download widens.</summary>
    private static void Cast(GoldenCase c)
    {
        float[] x = Array.ConvertAll(c.Values("x"), v => (float)v);
        foreach ((ElementType type, string name) in ((ElementType, string)[])[(BF16, "bfloat16"), (F16, "float16")])
        {
            Tensor rounded = c.Bench.Output(x.Length, type);
            c.Device.Upload(rounded, x);
            ushort[] bits = new ushort[x.Length];
            c.Device.DownloadBytes(System.Runtime.InteropServices.MemoryMarshal.AsBytes(bits.AsSpan()), rounded);
            c.Result($"{name}_bits", Array.ConvertAll(bits, b => (long)b));
            float[] values = new float[x.Length];
            c.Device.Download(values, rounded);
            c.Result($"{name}_value", Array.ConvertAll(values, v => (double)v));
        }
    }
}
