using Dvp.Cuda.Interop;

namespace Dvp.Cuda;

/// <summary>A planned matrix product; see <see cref="CublasLt.Plan"/>.</summary>
/// <remarks>
/// The library counts by columns: W (N, K) in rows is W^T in columns, so y^T = op(W^T) x^T with the first operand transposed.
/// </remarks>
public sealed unsafe class CublasLtProduct : IDisposable
{
    private const int Compute32F = 68;
    private const int TransposeFirst = 3; // CUBLASLT_MATMUL_DESC_TRANSA
    private const int MaxWorkspace = 1; // CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES
    private readonly CublasLt _library;
    private readonly DeviceMemory? _workspace;
    private readonly nint _operation;
    private readonly nint _weight;
    private readonly nint _input;
    private readonly nint _output;
    private CublasLtCandidate _algorithm;
    private bool _disposed;

    internal CublasLtProduct(CublasLt library, CudaContext context, CublasLtType type, int m, int n, int k, long workspaceBytes)
    {
        _library = library;
        CublasLtApi api = library.Api;
        nint operation = 0, weight = 0, input = 0, output = 0, preference = 0;
        try
        {
            int transposed = 1, found;
            ulong most = (ulong)workspaceBytes;
            CublasLt.ThrowIfFailed(api.cublasLtMatmulDescCreate(&operation, Compute32F, (int)CublasLtType.F32));
            CublasLt.ThrowIfFailed(api.cublasLtMatmulDescSetAttribute(operation, TransposeFirst, &transposed, sizeof(int)));
            CublasLt.ThrowIfFailed(api.cublasLtMatrixLayoutCreate(&weight, (int)type, (ulong)k, (ulong)n, k));
            CublasLt.ThrowIfFailed(api.cublasLtMatrixLayoutCreate(&input, (int)type, (ulong)k, (ulong)m, k));
            CublasLt.ThrowIfFailed(api.cublasLtMatrixLayoutCreate(&output, (int)type, (ulong)n, (ulong)m, n));
            CublasLt.ThrowIfFailed(api.cublasLtMatmulPreferenceCreate(&preference));
            CublasLt.ThrowIfFailed(api.cublasLtMatmulPreferenceSetAttribute(preference, MaxWorkspace, &most, sizeof(ulong)));
            CublasLtCandidate best;
            CublasLt.ThrowIfFailed(api.cublasLtMatmulAlgoGetHeuristic(
                library.Handle, operation, weight, input, output, output, preference, 1, &best, &found));
            CublasLt.ThrowIfFailed(found == 0 ? 15 : best.State, nameof(CublasLtApi.cublasLtMatmulAlgoGetHeuristic));
            _algorithm = best;
            _workspace = best.WorkspaceBytes == 0 ? null : context.Allocate((long)best.WorkspaceBytes);
            (_operation, _weight, _input, _output) = (operation, weight, input, output);
        }
        catch
        {
            Release(api, operation, weight, input, output);
            throw;
        }
        finally
        {
            if (preference != 0)
            {
                _ = api.cublasLtMatmulPreferenceDestroy(preference);
            }
        }
    }

    /// <summary>Queues y = x W^T.</summary>
    /// <param name="stream">The stream.</param>
    /// <param name="y">Address of (M, N) on the device.</param>
    /// <param name="x">Address of (M, K) on the device.</param>
    /// <param name="weight">Address of (N, K) on the device.</param>
    public void Launch(CudaStream stream, nint y, nint x, nint weight)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        float one = 1, zero = 0;
        fixed (CublasLtCandidate* algorithm = &_algorithm)
        {
            CublasLt.ThrowIfFailed(_library.Api.cublasLtMatmul(
                _library.Handle, _operation, &one, weight, _weight, x, _input, &zero, y, _output, y, _output,
                algorithm, _workspace?.Address ?? 0, algorithm->WorkspaceBytes, stream.Value));
        }
    }

    /// <summary>Ends the plan; a second call does nothing.</summary>
    public void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            _workspace?.Dispose();
            Release(_library.Api, _operation, _weight, _input, _output);
        }
    }

    private static void Release(CublasLtApi api, nint operation, nint weight, nint input, nint output)
    {
        foreach (nint layout in (ReadOnlySpan<nint>)[weight, input, output])
        {
            if (layout != 0)
            {
                _ = api.cublasLtMatrixLayoutDestroy(layout);
            }
        }

        if (operation != 0)
        {
            _ = api.cublasLtMatmulDescDestroy(operation);
        }
    }
}
