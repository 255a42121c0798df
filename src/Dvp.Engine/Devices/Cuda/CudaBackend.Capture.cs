using Dvp.Cuda;

namespace Dvp.Engine.Devices.Cuda;

// Work recorded once and launched as one graph.
public sealed partial class CudaBackend
{
    private int _captured;
    private int _recordings;

    /// <summary>Whether operators are being recorded in place of run: nothing may be allocated, copied or waited for.</summary>
    internal bool IsCapturing => _stream.IsCapturing;

    /// <summary>Number of the recording under way, from 1; 0 for none. What every recording must do once by itself (renew weight forms) compares it.</summary>
    internal int Recording => IsCapturing ? _recordings : 0;

    /// <inheritdoc/>
    /// <remarks>The first run is an ordinary one, before which the kernels that it needs are loaded, those that must be compiled in parallel; it
    /// allocates what it needs. The second records; from then on a run is one graph launch.
    /// Where launches are waited for nothing is recorded, since a graph could not say which of its kernels failed.</remarks>
    public override RecordedWork Record(Action work) => new GraphWork(this, work);

    /// <summary>Records the operators that an action queues. It must have run before, so that all it needs is allocated and loaded.</summary>
    /// <param name="work">Calls the operators.</param>
    /// <exception cref="DvpException">Something cannot be recorded.</exception>
    internal CapturedGraph Capture(Action work)
    {
        _captured = 0;
        _recordings++;
        try
        {
            return new CapturedGraph(this, _stream.Capture(work), _captured);
        }
        catch (CudaException e)
        {
            throw CudaFailure.Wrap(e);
        }
    }

    /// <summary>Recorded operators.</summary>
    internal sealed class CapturedGraph(CudaBackend owner, CudaGraph graph, int launches) : IDisposable
    {
        /// <summary>Kernel launches of one run.</summary>
        public int Launches => launches;

        /// <summary>Queues all of them as one.</summary>
        public void Launch()
        {
            try
            {
                graph.Launch(owner._stream);
            }
            catch (CudaException e)
            {
                throw CudaFailure.Wrap(e);
            }

            owner.Counters.Launches += launches;
            owner.Counters.GraphLaunches++;
        }

        /// <inheritdoc/>
        public void Dispose() => graph.Dispose();
    }

    private sealed class GraphWork(CudaBackend owner, Action work) : RecordedWork
    {
        private CapturedGraph? _graph;
        private bool _ran;

        public override void Run()
        {
            if (owner.IsPlanning)
            {
                work(); // part of other work, which is being planned
                return;
            }

            if (owner.IsCapturing || !_ran || owner._context.LaunchBlocking)
            {
                if (!_ran && !owner.IsCapturing)
                {
                    owner.LoadKernels(work);
                }

                work();
                _ran |= !owner.IsCapturing;
                return;
            }

            _graph ??= owner.Capture(work);
            _graph.Launch();
        }

        protected override void Dispose(bool disposing)
        {
            _graph?.Dispose();
            _graph = null;
            base.Dispose(disposing);
        }
    }
}
