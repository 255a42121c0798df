using Dvp.Engine.Tensors;
using Dvp.Tests.Cuda;

namespace Dvp.Tests.Models;

/// <summary>Whole models on the CUDA device in f32, over the kernel host with every access judged, in random order and late.</summary>
[Requires(Capability.CudaDevice)]
public sealed class CudaF32GoldenModelTests() : GoldenModelTests(() => CudaUnderTest.OpenChecked(ElementType.F32));

/// <summary>The same in bf16.</summary>
[Requires(Capability.CudaDevice)]
public sealed class CudaBF16GoldenModelTests() : GoldenModelTests(() => CudaUnderTest.OpenChecked(ElementType.BF16));

/// <summary>The same in f16.</summary>
[Requires(Capability.CudaDevice)]
public sealed class CudaF16GoldenModelTests() : GoldenModelTests(() => CudaUnderTest.OpenChecked(ElementType.F16));
