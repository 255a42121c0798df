using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Dvp.Cuda.Interop;

/// <summary>The functions of the driver library that this project calls, under their own names.</summary>
/// <remarks>Addresses are looked up when the library is opened, so that a program without a driver starts as well.</remarks>
internal sealed unsafe class DriverApi
{
    internal readonly delegate* unmanaged<uint, int> cuInit;
    internal readonly delegate* unmanaged<int*, int> cuDriverGetVersion;
    internal readonly delegate* unmanaged<int, byte**, int> cuGetErrorName;
    internal readonly delegate* unmanaged<int, byte**, int> cuGetErrorString;

    internal readonly delegate* unmanaged<int*, int> cuDeviceGetCount;
    internal readonly delegate* unmanaged<int*, int, int> cuDeviceGet;
    internal readonly delegate* unmanaged<byte*, int, int, int> cuDeviceGetName;
    internal readonly delegate* unmanaged<int*, int, int, int> cuDeviceGetAttribute;
    internal readonly delegate* unmanaged<nuint*, int, int> cuDeviceTotalMem_v2;
    internal readonly delegate* unmanaged<nint*, int, int> cuDevicePrimaryCtxRetain;
    internal readonly delegate* unmanaged<int, int> cuDevicePrimaryCtxRelease_v2;
    internal readonly delegate* unmanaged<nint, int> cuCtxSetCurrent;

    internal readonly delegate* unmanaged<nuint*, nuint*, int> cuMemGetInfo_v2;
    internal readonly delegate* unmanaged<nint*, nuint, int> cuMemAlloc_v2;
    internal readonly delegate* unmanaged<nint, int> cuMemFree_v2;
    internal readonly delegate* unmanaged<nint*, int, int> cuDeviceGetDefaultMemPool;
    internal readonly delegate* unmanaged<nint, int, void*, int> cuMemPoolGetAttribute;
    internal readonly delegate* unmanaged<nint, int, void*, int> cuMemPoolSetAttribute;
    internal readonly delegate* unmanaged<nint, nuint, int> cuMemPoolTrimTo;
    internal readonly delegate* unmanaged<nint*, nuint, nint, nint, int> cuMemAllocFromPoolAsync;
    internal readonly delegate* unmanaged<nint, nint, int> cuMemFreeAsync;
    internal readonly delegate* unmanaged<nint*, nuint, uint, int> cuMemHostAlloc;
    internal readonly delegate* unmanaged<nint, int> cuMemFreeHost;
    internal readonly delegate* unmanaged<nint, nint, nuint, nint, int> cuMemcpyHtoDAsync_v2;
    internal readonly delegate* unmanaged<nint, nint, nuint, nint, int> cuMemcpyDtoHAsync_v2;
    internal readonly delegate* unmanaged<nint, nint, nuint, nint, int> cuMemcpyDtoDAsync_v2;
    internal readonly delegate* unmanaged<MemoryCopy2D*, nint, int> cuMemcpy2DAsync_v2;
    internal readonly delegate* unmanaged<nint, byte, nuint, nint, int> cuMemsetD8Async;

    internal readonly delegate* unmanaged<nint*, uint, int> cuStreamCreate;
    internal readonly delegate* unmanaged<nint, int> cuStreamDestroy_v2;
    internal readonly delegate* unmanaged<nint, int> cuStreamSynchronize;
    internal readonly delegate* unmanaged<nint, nint, uint, int> cuStreamWaitEvent;
    internal readonly delegate* unmanaged<nint, int, int> cuStreamBeginCapture_v2;
    internal readonly delegate* unmanaged<nint, nint*, int> cuStreamEndCapture;

    internal readonly delegate* unmanaged<nint*, uint, int> cuEventCreate;
    internal readonly delegate* unmanaged<nint, int> cuEventDestroy_v2;
    internal readonly delegate* unmanaged<nint, nint, int> cuEventRecord;
    internal readonly delegate* unmanaged<nint, int> cuEventSynchronize;
    internal readonly delegate* unmanaged<float*, nint, nint, int> cuEventElapsedTime;

    internal readonly delegate* unmanaged<nint*, nint, ulong, int> cuGraphInstantiateWithFlags;
    internal readonly delegate* unmanaged<nint, nint, int> cuGraphLaunch;
    internal readonly delegate* unmanaged<nint, int> cuGraphExecDestroy;
    internal readonly delegate* unmanaged<nint, int> cuGraphDestroy;

    internal readonly delegate* unmanaged<nint*, void*, uint, int*, void**, int> cuModuleLoadDataEx;
    internal readonly delegate* unmanaged<nint, int> cuModuleUnload;
    internal readonly delegate* unmanaged<nint*, nint, byte*, int> cuModuleGetFunction;
    internal readonly delegate* unmanaged<int*, int, nint, int> cuFuncGetAttribute;
    internal readonly delegate* unmanaged<nint, int, int, int> cuFuncSetAttribute;
    internal readonly delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int> cuLaunchKernel;
    internal readonly delegate* unmanaged<int*, nint, int, nuint, int> cuOccupancyMaxActiveBlocksPerMultiprocessor;

    /// <summary>Since CUDA 12.4; null in older drivers.</summary>
    internal readonly delegate* unmanaged<nint, nuint, nuint*, nuint*, int> cuFuncGetParamInfo;

    internal DriverApi(NativeFunctions library)
    {
        cuInit = (delegate* unmanaged<uint, int>)library.Require(nameof(cuInit));
        cuDriverGetVersion = (delegate* unmanaged<int*, int>)library.Require(nameof(cuDriverGetVersion));
        cuGetErrorName = (delegate* unmanaged<int, byte**, int>)library.Require(nameof(cuGetErrorName));
        cuGetErrorString = (delegate* unmanaged<int, byte**, int>)library.Require(nameof(cuGetErrorString));

        cuDeviceGetCount = (delegate* unmanaged<int*, int>)library.Require(nameof(cuDeviceGetCount));
        cuDeviceGet = (delegate* unmanaged<int*, int, int>)library.Require(nameof(cuDeviceGet));
        cuDeviceGetName = (delegate* unmanaged<byte*, int, int, int>)library.Require(nameof(cuDeviceGetName));
        cuDeviceGetAttribute = (delegate* unmanaged<int*, int, int, int>)library.Require(nameof(cuDeviceGetAttribute));
        cuDeviceTotalMem_v2 = (delegate* unmanaged<nuint*, int, int>)library.Require(nameof(cuDeviceTotalMem_v2));
        cuDevicePrimaryCtxRetain = (delegate* unmanaged<nint*, int, int>)library.Require(nameof(cuDevicePrimaryCtxRetain));
        cuDevicePrimaryCtxRelease_v2 = (delegate* unmanaged<int, int>)library.Require(nameof(cuDevicePrimaryCtxRelease_v2));
        cuCtxSetCurrent = (delegate* unmanaged<nint, int>)library.Require(nameof(cuCtxSetCurrent));

        cuMemGetInfo_v2 = (delegate* unmanaged<nuint*, nuint*, int>)library.Require(nameof(cuMemGetInfo_v2));
        cuMemAlloc_v2 = (delegate* unmanaged<nint*, nuint, int>)library.Require(nameof(cuMemAlloc_v2));
        cuMemFree_v2 = (delegate* unmanaged<nint, int>)library.Require(nameof(cuMemFree_v2));
        cuDeviceGetDefaultMemPool = (delegate* unmanaged<nint*, int, int>)library.Require(nameof(cuDeviceGetDefaultMemPool));
        cuMemPoolGetAttribute = (delegate* unmanaged<nint, int, void*, int>)library.Require(nameof(cuMemPoolGetAttribute));
        cuMemPoolSetAttribute = (delegate* unmanaged<nint, int, void*, int>)library.Require(nameof(cuMemPoolSetAttribute));
        cuMemPoolTrimTo = (delegate* unmanaged<nint, nuint, int>)library.Require(nameof(cuMemPoolTrimTo));
        cuMemAllocFromPoolAsync = (delegate* unmanaged<nint*, nuint, nint, nint, int>)library.Require(nameof(cuMemAllocFromPoolAsync));
        cuMemFreeAsync = (delegate* unmanaged<nint, nint, int>)library.Require(nameof(cuMemFreeAsync));
        cuMemHostAlloc = (delegate* unmanaged<nint*, nuint, uint, int>)library.Require(nameof(cuMemHostAlloc));
        cuMemFreeHost = (delegate* unmanaged<nint, int>)library.Require(nameof(cuMemFreeHost));
        cuMemcpyHtoDAsync_v2 = (delegate* unmanaged<nint, nint, nuint, nint, int>)library.Require(nameof(cuMemcpyHtoDAsync_v2));
        cuMemcpyDtoHAsync_v2 = (delegate* unmanaged<nint, nint, nuint, nint, int>)library.Require(nameof(cuMemcpyDtoHAsync_v2));
        cuMemcpyDtoDAsync_v2 = (delegate* unmanaged<nint, nint, nuint, nint, int>)library.Require(nameof(cuMemcpyDtoDAsync_v2));
        cuMemcpy2DAsync_v2 = (delegate* unmanaged<MemoryCopy2D*, nint, int>)library.Require(nameof(cuMemcpy2DAsync_v2));
        cuMemsetD8Async = (delegate* unmanaged<nint, byte, nuint, nint, int>)library.Require(nameof(cuMemsetD8Async));

        cuStreamCreate = (delegate* unmanaged<nint*, uint, int>)library.Require(nameof(cuStreamCreate));
        cuStreamDestroy_v2 = (delegate* unmanaged<nint, int>)library.Require(nameof(cuStreamDestroy_v2));
        cuStreamSynchronize = (delegate* unmanaged<nint, int>)library.Require(nameof(cuStreamSynchronize));
        cuStreamWaitEvent = (delegate* unmanaged<nint, nint, uint, int>)library.Require(nameof(cuStreamWaitEvent));
        cuStreamBeginCapture_v2 = (delegate* unmanaged<nint, int, int>)library.Require(nameof(cuStreamBeginCapture_v2));
        cuStreamEndCapture = (delegate* unmanaged<nint, nint*, int>)library.Require(nameof(cuStreamEndCapture));

        cuEventCreate = (delegate* unmanaged<nint*, uint, int>)library.Require(nameof(cuEventCreate));
        cuEventDestroy_v2 = (delegate* unmanaged<nint, int>)library.Require(nameof(cuEventDestroy_v2));
        cuEventRecord = (delegate* unmanaged<nint, nint, int>)library.Require(nameof(cuEventRecord));
        cuEventSynchronize = (delegate* unmanaged<nint, int>)library.Require(nameof(cuEventSynchronize));
        cuEventElapsedTime = (delegate* unmanaged<float*, nint, nint, int>)library.Require(nameof(cuEventElapsedTime));

        cuGraphInstantiateWithFlags = (delegate* unmanaged<nint*, nint, ulong, int>)library.Require(nameof(cuGraphInstantiateWithFlags));
        cuGraphLaunch = (delegate* unmanaged<nint, nint, int>)library.Require(nameof(cuGraphLaunch));
        cuGraphExecDestroy = (delegate* unmanaged<nint, int>)library.Require(nameof(cuGraphExecDestroy));
        cuGraphDestroy = (delegate* unmanaged<nint, int>)library.Require(nameof(cuGraphDestroy));

        cuModuleLoadDataEx = (delegate* unmanaged<nint*, void*, uint, int*, void**, int>)library.Require(nameof(cuModuleLoadDataEx));
        cuModuleUnload = (delegate* unmanaged<nint, int>)library.Require(nameof(cuModuleUnload));
        cuModuleGetFunction = (delegate* unmanaged<nint*, nint, byte*, int>)library.Require(nameof(cuModuleGetFunction));
        cuFuncGetAttribute = (delegate* unmanaged<int*, int, nint, int>)library.Require(nameof(cuFuncGetAttribute));
        cuFuncSetAttribute = (delegate* unmanaged<nint, int, int, int>)library.Require(nameof(cuFuncSetAttribute));
        cuLaunchKernel = (delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int>)
            library.Require(nameof(cuLaunchKernel));
        cuOccupancyMaxActiveBlocksPerMultiprocessor = (delegate* unmanaged<int*, nint, int, nuint, int>)
            library.Require(nameof(cuOccupancyMaxActiveBlocksPerMultiprocessor));
        cuFuncGetParamInfo = (delegate* unmanaged<nint, nuint, nuint*, nuint*, int>)library.Find(nameof(cuFuncGetParamInfo));
    }

    /// <summary>Throws where a call outside any context failed.</summary>
    /// <param name="result">What the call returned.</param>
    /// <param name="call">Its source text, which names it.</param>
    internal void ThrowIfFailed(int result, [CallerArgumentExpression(nameof(result))] string call = "")
    {
        if (result != 0)
        {
            throw Failure(result, call, kernel: null, lastLaunch: null);
        }
    }

    /// <summary>The error of a call, in the driver's own words.</summary>
    internal CudaException Failure(int result, string call, string? kernel, string? lastLaunch)
    {
        byte* text;
        string name = cuGetErrorName(result, &text) == 0 ? Marshal.PtrToStringUTF8((nint)text) ?? "" : "an unknown error";
        string description = cuGetErrorString(result, &text) == 0 ? Marshal.PtrToStringUTF8((nint)text) ?? "" : "";
        return CudaException.Of(call, result, name, description, kernel, lastLaunch, CudaErrors.Advice(result));
    }
}

/// <summary>CUDA_MEMCPY2D: rows of equal width, a pitch apart on either side.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct MemoryCopy2D
{
    internal const int Host = 1;
    internal const int Device = 2;

    internal nuint SourceX;
    internal nuint SourceY;
    internal int SourceKind;
    internal nint SourceHost;
    internal nint SourceDevice;
    internal nint SourceArray;
    internal nuint SourcePitch;
    internal nuint DestinationX;
    internal nuint DestinationY;
    internal int DestinationKind;
    internal nint DestinationHost;
    internal nint DestinationDevice;
    internal nint DestinationArray;
    internal nuint DestinationPitch;
    internal nuint WidthInBytes;
    internal nuint Height;
}
