using Dvp.Cuda;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

/// <summary>NVIDIA's own matrix product on the tensors of a device: what our products are measured against. Nothing else uses it.</summary>
public sealed class CublasLtPeer : IDisposable
{
    private readonly CudaBackend _backend;
    private readonly CublasLt _library;
    private readonly List<CublasLtProduct> _products = [];

    private CublasLtPeer(CudaBackend backend, CublasLt library) => (_backend, _library) = (backend, library);

    /// <summary>Opens the library.</summary>
    /// <param name="backend">The device.</param>
    /// <param name="path">A file, or a folder that holds it; null for the usual names.</param>
    /// <returns>null where no path was given and nothing of the usual names is there.</returns>
    /// <exception cref="DvpException">It is not where <paramref name="path"/> says.</exception>
    public static CublasLtPeer? Find(CudaBackend backend, string? path)
    {
        try
        {
            return new CublasLtPeer(backend, CublasLt.Open(backend.Context, path));
        }
        catch (CudaException e)
        {
            return path is null ? null : throw new DvpException(e.Message, e);
        }
    }

    /// <summary>Plans y = x W^T, and returns what queues it.</summary>
    /// <param name="y">(N, out) of the device's storage type, as all three; rows without gaps</param>
    /// <param name="x">(N, in)</param>
    /// <param name="weight">(out, in)</param>
    /// <exception cref="ArgumentException">The shapes do not fit.</exception>
    /// <exception cref="DvpException">The library has no algorithm for it.</exception>
    public Action Product(Tensor y, Tensor x, Tensor weight)
    {
        CudaShapes.Require(
            y.IsContiguous && x.IsContiguous && weight.IsContiguous && x.Rows == y.Rows && weight.Rows == y.Columns && weight.Columns == x.Columns,
            nameof(CublasLt), y, weight);
        CublasLtType type = y.Type switch
        {
            ElementType.F32 => CublasLtType.F32,
            ElementType.BF16 => CublasLtType.BF16,
            _ => CublasLtType.F16,
        };
        try
        {
            CublasLtProduct product = _library.Plan(type, y.Rows, y.Columns, x.Columns);
            _products.Add(product);
            return () => product.Launch(_backend.Stream, y.Address, x.Address, weight.Address);
        }
        catch (CudaException e)
        {
            throw CudaFailure.Wrap(e);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _products.ForEach(p => p.Dispose());
        _library.Dispose();
    }
}
