namespace Dvp.Cuda.Interop;

/// <summary>The functions of cuBLASLt that a matrix product takes, under their own names.</summary>
internal sealed unsafe class CublasLtApi
{
    internal readonly delegate* unmanaged<nint*, int> cublasLtCreate;
    internal readonly delegate* unmanaged<nint, int> cublasLtDestroy;
    internal readonly delegate* unmanaged<nuint> cublasLtGetVersion;
    internal readonly delegate* unmanaged<nint*, int, int, int> cublasLtMatmulDescCreate;
    internal readonly delegate* unmanaged<nint, int> cublasLtMatmulDescDestroy;
    internal readonly delegate* unmanaged<nint, int, void*, nuint, int> cublasLtMatmulDescSetAttribute;
    internal readonly delegate* unmanaged<nint*, int, ulong, ulong, long, int> cublasLtMatrixLayoutCreate;
    internal readonly delegate* unmanaged<nint, int> cublasLtMatrixLayoutDestroy;
    internal readonly delegate* unmanaged<nint*, int> cublasLtMatmulPreferenceCreate;
    internal readonly delegate* unmanaged<nint, int> cublasLtMatmulPreferenceDestroy;
    internal readonly delegate* unmanaged<nint, int, void*, nuint, int> cublasLtMatmulPreferenceSetAttribute;
    internal readonly delegate* unmanaged<nint, nint, nint, nint, nint, nint, nint, int, CublasLtCandidate*, int*, int> cublasLtMatmulAlgoGetHeuristic;
    internal readonly delegate* unmanaged<
        nint, nint, void*, nint, nint, nint, nint, void*, nint, nint, nint, nint, CublasLtCandidate*, nint, nuint, nint, int> cublasLtMatmul;

    internal CublasLtApi(NativeFunctions library)
    {
        cublasLtCreate = (delegate* unmanaged<nint*, int>)library.Require(nameof(cublasLtCreate));
        cublasLtDestroy = (delegate* unmanaged<nint, int>)library.Require(nameof(cublasLtDestroy));
        cublasLtGetVersion = (delegate* unmanaged<nuint>)library.Require(nameof(cublasLtGetVersion));
        cublasLtMatmulDescCreate = (delegate* unmanaged<nint*, int, int, int>)library.Require(nameof(cublasLtMatmulDescCreate));
        cublasLtMatmulDescDestroy = (delegate* unmanaged<nint, int>)library.Require(nameof(cublasLtMatmulDescDestroy));
        cublasLtMatmulDescSetAttribute = (delegate* unmanaged<nint, int, void*, nuint, int>)library.Require(nameof(cublasLtMatmulDescSetAttribute));
        cublasLtMatrixLayoutCreate = (delegate* unmanaged<nint*, int, ulong, ulong, long, int>)library.Require(nameof(cublasLtMatrixLayoutCreate));
        cublasLtMatrixLayoutDestroy = (delegate* unmanaged<nint, int>)library.Require(nameof(cublasLtMatrixLayoutDestroy));
        cublasLtMatmulPreferenceCreate = (delegate* unmanaged<nint*, int>)library.Require(nameof(cublasLtMatmulPreferenceCreate));
        cublasLtMatmulPreferenceDestroy = (delegate* unmanaged<nint, int>)library.Require(nameof(cublasLtMatmulPreferenceDestroy));
        cublasLtMatmulPreferenceSetAttribute = (delegate* unmanaged<nint, int, void*, nuint, int>)
            library.Require(nameof(cublasLtMatmulPreferenceSetAttribute));
        cublasLtMatmulAlgoGetHeuristic = (delegate* unmanaged<nint, nint, nint, nint, nint, nint, nint, int, CublasLtCandidate*, int*, int>)
            library.Require(nameof(cublasLtMatmulAlgoGetHeuristic));
        cublasLtMatmul = (delegate* unmanaged<
            nint, nint, void*, nint, nint, nint, nint, void*, nint, nint, nint, nint, CublasLtCandidate*, nint, nuint, nint, int>)
            library.Require(nameof(cublasLtMatmul));
    }
}

/// <summary>cublasLtMatmulHeuristicResult_t: an algorithm, whose 64 bytes come first, and what it takes.</summary>
internal unsafe struct CublasLtCandidate
{
    internal fixed ulong Algorithm[8];
    internal nuint WorkspaceBytes;
    internal int State;
    internal float Waves;
    internal fixed int Reserved[4];
}
