namespace Dvp.Cuda.Interop;

/// <summary>The functions of the run-time compiler that this project calls, under their own names.</summary>
internal sealed unsafe class NvrtcApi
{
    internal readonly delegate* unmanaged<int*, int*, int> nvrtcVersion;
    internal readonly delegate* unmanaged<int, byte*> nvrtcGetErrorString;
    internal readonly delegate* unmanaged<int*, int> nvrtcGetNumSupportedArchs;
    internal readonly delegate* unmanaged<int*, int> nvrtcGetSupportedArchs;
    internal readonly delegate* unmanaged<nint*, byte*, byte*, int, byte**, byte**, int> nvrtcCreateProgram;
    internal readonly delegate* unmanaged<nint*, int> nvrtcDestroyProgram;
    internal readonly delegate* unmanaged<nint, int, byte**, int> nvrtcCompileProgram;
    internal readonly delegate* unmanaged<nint, nuint*, int> nvrtcGetProgramLogSize;
    internal readonly delegate* unmanaged<nint, byte*, int> nvrtcGetProgramLog;
    internal readonly delegate* unmanaged<nint, nuint*, int> nvrtcGetCUBINSize;
    internal readonly delegate* unmanaged<nint, byte*, int> nvrtcGetCUBIN;
    internal readonly delegate* unmanaged<nint, nuint*, int> nvrtcGetPTXSize;
    internal readonly delegate* unmanaged<nint, byte*, int> nvrtcGetPTX;

    internal NvrtcApi(NativeFunctions library)
    {
        nvrtcVersion = (delegate* unmanaged<int*, int*, int>)library.Require(nameof(nvrtcVersion));
        nvrtcGetErrorString = (delegate* unmanaged<int, byte*>)library.Require(nameof(nvrtcGetErrorString));
        nvrtcGetNumSupportedArchs = (delegate* unmanaged<int*, int>)library.Require(nameof(nvrtcGetNumSupportedArchs));
        nvrtcGetSupportedArchs = (delegate* unmanaged<int*, int>)library.Require(nameof(nvrtcGetSupportedArchs));
        nvrtcCreateProgram = (delegate* unmanaged<nint*, byte*, byte*, int, byte**, byte**, int>)library.Require(nameof(nvrtcCreateProgram));
        nvrtcDestroyProgram = (delegate* unmanaged<nint*, int>)library.Require(nameof(nvrtcDestroyProgram));
        nvrtcCompileProgram = (delegate* unmanaged<nint, int, byte**, int>)library.Require(nameof(nvrtcCompileProgram));
        nvrtcGetProgramLogSize = (delegate* unmanaged<nint, nuint*, int>)library.Require(nameof(nvrtcGetProgramLogSize));
        nvrtcGetProgramLog = (delegate* unmanaged<nint, byte*, int>)library.Require(nameof(nvrtcGetProgramLog));
        nvrtcGetCUBINSize = (delegate* unmanaged<nint, nuint*, int>)library.Require(nameof(nvrtcGetCUBINSize));
        nvrtcGetCUBIN = (delegate* unmanaged<nint, byte*, int>)library.Require(nameof(nvrtcGetCUBIN));
        nvrtcGetPTXSize = (delegate* unmanaged<nint, nuint*, int>)library.Require(nameof(nvrtcGetPTXSize));
        nvrtcGetPTX = (delegate* unmanaged<nint, byte*, int>)library.Require(nameof(nvrtcGetPTX));
    }
}
