using Dvp.Cuda.Interop;

namespace Dvp.Cuda;

/// <summary>Work recorded from a stream, ready to be launched again and again as one.</summary>
public sealed unsafe class CudaGraph : IDisposable
{
    private readonly CudaContext _context;
    private readonly DriverHandle _handle;

    private CudaGraph(CudaContext context, DriverHandle handle) => (_context, _handle) = (context, handle);

    /// <summary>Queues all of the work in a stream.</summary>
    public void Launch(CudaStream stream)
    {
        _context.MakeCurrent();
        _context.ThrowIfFailed(_context.Api.cuGraphLaunch(_handle.Value, stream.Value));
        _context.LastLaunch = "a recorded graph";
        if (_context.LaunchBlocking)
        {
            stream.Synchronize();
        }
    }

    /// <summary>Ends the graph; a second call does nothing.</summary>
    public void Dispose() => _handle.Dispose();

    /// <summary>Makes what was recorded executable; the record itself is not kept.</summary>
    internal static CudaGraph Instantiate(CudaContext context, nint recorded)
    {
        DriverApi api = context.Api;
        using DriverHandle graph = context.Own(recorded, api.cuGraphDestroy, nameof(DriverApi.cuGraphDestroy));
        nint executable;
        context.ThrowIfFailed(api.cuGraphInstantiateWithFlags(&executable, graph.Value, 0));
        return new CudaGraph(context, context.Own(executable, api.cuGraphExecDestroy, nameof(DriverApi.cuGraphExecDestroy)));
    }
}
