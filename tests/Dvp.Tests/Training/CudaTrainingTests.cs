using Dvp.Engine.Tensors;
using Dvp.Tests.Cuda;

namespace Dvp.Tests.Training;

/// <summary>The published training runs on the CUDA device in f32, over the kernel host with every access judged, in random order and late.</summary>
[Requires(Capability.CudaDevice)]
public sealed class CudaF32GoldenTrainingTests() : GoldenTrainingTests(() => CudaUnderTest.OpenChecked(ElementType.F32));
