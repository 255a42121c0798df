namespace Dvp.Engine.Devices;

/// <summary>Work of a device that runs many times on the same memory; see <see cref="Backend.Record"/>.</summary>
public abstract class RecordedWork : IDisposable
{
    /// <summary>Queues the work.</summary>
    public abstract void Run();

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Frees the recording; a second call does nothing.</summary>
    protected virtual void Dispose(bool disposing)
    {
    }
}

/// <summary>Work of a device that records nothing: its operators are called again at each run.</summary>
internal sealed class RepeatedWork(Action work) : RecordedWork
{
    public override void Run() => work();
}
