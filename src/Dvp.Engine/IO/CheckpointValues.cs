using Dvp.Engine.Nn;

namespace Dvp.Engine.IO;

/// <summary>Parameters from one or more checkpoints: the first that has a name gives its value; each keeps account of what was used.</summary>
public sealed class CheckpointValues : IParameterValues
{
    private readonly TensorSource[] _sources;

    /// <summary>Looks in the sources in order: a trained DVP first, its language model after it.</summary>
    public CheckpointValues(params ReadOnlySpan<TensorSource> sources) => _sources = sources.ToArray();

    /// <inheritdoc/>
    public bool TryRead(string name, ReadOnlySpan<int> shape, Span<float> destination)
    {
        bool found = false;
        foreach (TensorSource source in _sources)
        {
            if (source.Optional(name, shape) is { } weight && !found)
            {
                weight.Read(destination);
                found = true;
            }
        }

        return found;
    }

    /// <summary>Ends the loading: everything missing, mis-shaped or unexpected becomes one error.</summary>
    /// <param name="missing">Parameters that neither a file nor initial values filled (<see cref="ParameterBuilder.Missing"/>).</param>
    /// <exception cref="DvpException">A source does not fit the model; the message lists the names.</exception>
    public void Finish(IEnumerable<string> missing)
    {
        foreach (string name in missing)
        {
            _sources[^1].Required(name, -1);
        }

        foreach (TensorSource source in _sources)
        {
            source.Finish();
        }
    }
}
