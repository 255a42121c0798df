namespace Dvp.Engine.Devices;

/// <summary>The activation functions of the supported models.</summary>
public enum Activation
{
    /// <summary>x</summary>
    None,

    /// <summary>max(x, 0)</summary>
    Relu,

    /// <summary>x Phi(x) with the normal distribution function: BERT's GELU.</summary>
    GeluErf,

    /// <summary>x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))): T5 v1.1's GELU.</summary>
    GeluTanh,

    /// <summary>x sigmoid(1.702 x): CLIP's GELU.</summary>
    QuickGelu,

    /// <summary>x sigmoid(x): LLaMA.</summary>
    Silu,

    /// <summary>tanh(x): BERT's pooler.</summary>
    Tanh,
}
