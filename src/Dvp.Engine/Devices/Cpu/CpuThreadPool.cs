using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace Dvp.Engine.Devices.Cpu;

/// <summary>
/// The threads of the CPU backend. A piece of work is a function pointer and a context, usually on the caller's stack, cut into chunks that
/// the threads draw from one counter; the caller draws too. Idle threads spin for some microseconds, then park.
/// </summary>
/// <remarks>
/// <para><see cref="Run"/> allocates nothing. Two callers at once are served one after the other; a call from within a body runs
/// inline.</para>
/// <para>Which thread computes a chunk is left to chance; what a chunk computes must not depend on it.</para>
/// </remarks>
internal sealed unsafe class CpuThreadPool : IDisposable
{
    /// <summary>Chunks that one call may have.</summary>
    internal const int MaxChunks = (1 << ChunkBits) - 1;

    private const int ChunkBits = 28;

    // A pause is about 37 nanoseconds on every machine (the runtime sees to that). An idle thread polls every 150 nanoseconds for some
    // 60 microseconds, longer than the gap between two operators of a model, then parks. The caller, whose last chunks are with others,
    // polls as often and gives its processor away only after some 150 microseconds: on a busy machine that costs it a time slice.
    private const int PausesPerSpin = 4;
    private const int SpinsBeforePark = 400;
    private const int SpinsBeforeYield = 1000;

    [ThreadStatic]
    private static bool t_inside;

    private readonly Lock _gate = new();
    private Worker[] _workers = [];
    private bool _disposed;
    private delegate*<void*, int, void> _body;
    private void* _context;
    private Exception? _error;
    private Counters _counters;

    /// <summary>Starts the threads.</summary>
    /// <param name="threads">Threads that compute, the caller included; 0 for what the process may use, container quotas counted.</param>
    /// <exception cref="ArgumentOutOfRangeException">A negative number.</exception>
    internal CpuThreadPool(int threads = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(threads);
        Start(threads == 0 ? Environment.ProcessorCount : threads);
    }

    /// <summary>Threads that compute, the caller included. Setting it replaces the threads; not while a body runs.</summary>
    internal int Threads
    {
        get => _workers.Length + 1;
        set
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            lock (_gate)
            {
                ObjectDisposedException.ThrowIf(_disposed, this);
                if (value != Threads)
                {
                    Stop();
                    Start(value);
                }
            }
        }
    }

    /// <summary>Calls <paramref name="body"/> once for every number below <paramref name="chunks"/>; returns when all are done.</summary>
    /// <param name="body">Gets the context and the chunk number.</param>
    /// <param name="context">Anything; must live until the call returns.</param>
    /// <param name="chunks">Number of chunks; none for 0.</param>
    /// <exception cref="ArgumentOutOfRangeException">A negative number of chunks or more than <see cref="MaxChunks"/>.</exception>
    /// <remarks>An exception thrown by a body ends the call, thrown again here; chunks that had not begun by then are left out.</remarks>
    internal void Run(delegate*<void*, int, void> body, void* context, int chunks)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(chunks);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(chunks, MaxChunks);
        if (chunks <= 1 || t_inside || _workers.Length == 0)
        {
            for (int i = 0; i < chunks; i++)
            {
                body(context, i);
            }

            return;
        }

        Exception? error;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            _body = body;
            _context = context;
            _error = null;
            _counters.Done = 0;
            t_inside = true;

            // Publishing the ticket is the signal: threads that spin see that its number of drawn chunks is below its number of chunks.
            Interlocked.Exchange(ref _counters.Ticket, (long)chunks << ChunkBits);
            int wanted = Math.Min(_workers.Length, chunks - 1);
            for (int i = 0; i < wanted; i++)
            {
                _workers[i].Wake();
            }

            Draw();
            for (int spin = 0; Volatile.Read(ref _counters.Done) != chunks; spin++)
            {
                if (spin < SpinsBeforeYield)
                {
                    Thread.SpinWait(PausesPerSpin);
                }
                else
                {
                    Thread.Yield();
                }
            }

            t_inside = false;
            _context = null;
            error = _error;
            _error = null;
        }

        if (error is not null)
        {
            ExceptionDispatchInfo.Throw(error);
        }
    }

    /// <summary>Ends the threads; a second call does nothing.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (!_disposed)
            {
                _disposed = true;
                Stop();
            }
        }
    }

    private bool HasWork()
    {
        long ticket = Volatile.Read(ref _counters.Ticket);
        return (ticket & MaxChunks) < ticket >> ChunkBits;
    }

    // Draws chunks until there are none. One word holds the number of chunks and how many are drawn, so a thread that comes late, after
    // the call it was woken for has ended, either gets a chunk of the call that now runs or none; fields are read only while a drawn chunk
    // holds the caller in Run.
    private void Draw()
    {
        while (HasWork())
        {
            long ticket = Interlocked.Increment(ref _counters.Ticket) - 1;
            int chunk = (int)(ticket & MaxChunks);
            if (chunk >= ticket >> ChunkBits)
            {
                return;
            }

            if (Volatile.Read(ref _error) is null)
            {
                try
                {
                    _body(_context, chunk);
                }
#pragma warning disable CA1031 // Whatever it is, it is thrown again in the caller's thread.
                catch (Exception error)
#pragma warning restore CA1031
                {
                    Interlocked.CompareExchange(ref _error, error, null);
                }
            }

            Interlocked.Increment(ref _counters.Done);
        }
    }

    private void Start(int threads)
    {
        var workers = new Worker[threads - 1];
        for (int i = 0; i < workers.Length; i++)
        {
            workers[i] = new Worker(this, i + 1);
        }

        _workers = workers;
    }

    private void Stop()
    {
        foreach (Worker worker in _workers)
        {
            worker.Dispose();
        }

        _workers = [];
    }

    // Each counter on cache lines of its own (the line's neighbour is fetched along with it).
    [StructLayout(LayoutKind.Explicit, Size = 384)]
    private struct Counters
    {
        [FieldOffset(128)]
        public long Ticket;

        [FieldOffset(256)]
        public int Done;
    }

    private sealed class Worker : IDisposable
    {
        private readonly CpuThreadPool _pool;
        private readonly SemaphoreSlim _signal = new(0);
        private readonly Thread _thread;
        private int _parked;
        private volatile bool _stop;

        internal Worker(CpuThreadPool pool, int number)
        {
            _pool = pool;
            _thread = new Thread(Loop) { IsBackground = true, Name = $"dvp-cpu-{number}" };
            _thread.Start();
        }

        internal void Wake()
        {
            if (Volatile.Read(ref _parked) != 0 && Interlocked.Exchange(ref _parked, 0) != 0)
            {
                _signal.Release();
            }
        }

        public void Dispose()
        {
            _stop = true;
            Thread.MemoryBarrier();
            Wake();
            _thread.Join();
            _signal.Dispose();
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void Loop()
        {
            t_inside = true;
            while (!_stop)
            {
                _pool.Draw();
                for (int spin = 0; spin < SpinsBeforePark && !_stop && !_pool.HasWork(); spin++)
                {
                    Thread.SpinWait(PausesPerSpin);
                }

                if (_stop || _pool.HasWork())
                {
                    continue;
                }

                // Parked is set first and the ticket read after it; the caller writes the ticket first and reads parked after it. One of
                // the two sees the other.
                Interlocked.Exchange(ref _parked, 1);
                if ((_stop || _pool.HasWork()) && Interlocked.Exchange(ref _parked, 0) != 0)
                {
                    continue;
                }

                _signal.Wait();
            }
        }
    }
}
