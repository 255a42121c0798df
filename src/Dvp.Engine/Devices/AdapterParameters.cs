using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices;

/// <summary>The parameters of one adapter: down (C/r, C), its bias (C/r), up (C, C/r), its bias (C), and the activation between.</summary>
/// <param name="Down">(C/r, C)</param>
/// <param name="DownBias">(C/r)</param>
/// <param name="Up">(C, C/r)</param>
/// <param name="UpBias">(C)</param>
/// <param name="Activation">ReLU for BERT and T5, SiLU for LLaMA.</param>
public sealed record AdapterParameters(
    ParameterBlock Down, ParameterBlock DownBias, ParameterBlock Up, ParameterBlock UpBias, Activation Activation);
