using Dvp.Engine.Tensors;
using Dvp.Tests.Cuda;

namespace Dvp.Tests.Models;

/// <summary>Whole models on the CUDA device in f32, over the kernel host.</summary>
[Requires(Capability.CudaDevice)]
public sealed class CudaF32GoldenModelTests() : GoldenModelTests(() => CudaUnderTest.Open(ElementType.F32));

/// <summary>Whole models on the CUDA device in bf16, over the kernel host.</summary>
[Requires(Capability.CudaDevice)]
public sealed class CudaBF16GoldenModelTests() : GoldenModelTests(() => CudaUnderTest.Open(ElementType.BF16));

/// <summary>Whole models on the CUDA device in f16, over the kernel host.</summary>
[Requires(Capability.CudaDevice)]
public sealed class CudaF16GoldenModelTests() : GoldenModelTests(() => CudaUnderTest.Open(ElementType.F16));
