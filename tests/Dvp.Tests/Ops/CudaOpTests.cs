using Dvp.Engine.Tensors;
using Dvp.Tests.Cuda;

namespace Dvp.Tests.Ops;

/// <summary>Kernels in f32 against the golden files.</summary>
[Requires(Capability.CudaDevice)]
public sealed class CudaF32GoldenOpTests() : GoldenOpTests(new CudaUnderTest(ElementType.F32));

/// <summary>Kernels in bf16 against the golden files.</summary>
[Requires(Capability.CudaDevice)]
public sealed class CudaBF16GoldenOpTests() : GoldenOpTests(new CudaUnderTest(ElementType.BF16));

/// <summary>Kernels in f16 against the golden files.</summary>
[Requires(Capability.CudaDevice)]
public sealed class CudaF16GoldenOpTests() : GoldenOpTests(new CudaUnderTest(ElementType.F16));

/// <summary>Kernels in f32 against the reference.</summary>
[Requires(Capability.CudaDevice)]
public sealed class CudaF32RandomisedOpTests() : RandomisedOpTests(new CudaUnderTest(ElementType.F32));

/// <summary>Kernels in bf16 against the reference.</summary>
[Requires(Capability.CudaDevice)]
public sealed class CudaBF16RandomisedOpTests() : RandomisedOpTests(new CudaUnderTest(ElementType.BF16));

/// <summary>Kernels in f16 against the reference.</summary>
[Requires(Capability.CudaDevice)]
public sealed class CudaF16RandomisedOpTests() : RandomisedOpTests(new CudaUnderTest(ElementType.F16));

/// <summary>The CUDA device's side of the contract, in f32.</summary>
[Requires(Capability.CudaDevice)]
public sealed class CudaF32ContractTests() : DeviceContractTests(new CudaUnderTest(ElementType.F32));

/// <summary>The CUDA device's side of the contract, in bf16.</summary>
[Requires(Capability.CudaDevice)]
public sealed class CudaBF16ContractTests() : DeviceContractTests(new CudaUnderTest(ElementType.BF16));

/// <summary>The CUDA device's side of the contract, in f16.</summary>
[Requires(Capability.CudaDevice)]
public sealed class CudaF16ContractTests() : DeviceContractTests(new CudaUnderTest(ElementType.F16));
