using Dvp.Engine.Devices;
using Dvp.Engine.Nn;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Optim;

/// <summary>What happens to a parameter that a step gives no gradient, such as the prompts of layers that the search did not draw.</summary>
public enum MissingGradient
{
    /// <summary>The parameter is left alone and its update count stands still: what frameworks do today.</summary>
    Skipped,

    /// <summary>After its first gradient the parameter gets zeros: moments decay, momentum and weight decay go on (the published environment).</summary>
    Zeroed,
}

/// <summary>Settings of <see cref="AdamWOptimizer"/>; the defaults are the paper's.</summary>
public sealed record AdamWSettings
{
    /// <summary>Decay of the first moment.</summary>
    public float Beta1 { get; init; } = 0.9f;

    /// <summary>Decay of the second moment.</summary>
    public float Beta2 { get; init; } = 0.98f;

    /// <summary>Added to the root of the second moment.</summary>
    public float Epsilon { get; init; } = 1e-8f;

    /// <summary>PyTorch's order: decay first, epsilon inside the bias correction.</summary>
    public bool DecoupledFirst { get; init; }

    /// <summary>Largest global norm of the gradients; 0 for no clipping.</summary>
    public float MaxNorm { get; init; }

    /// <summary>Treatment of parameters without a gradient.</summary>
    public MissingGradient MissingGradient { get; init; }
}

/// <summary>
/// AdamW over every trainable parameter of a set, in one multi-tensor step. Every tensor counts its own updates (Loshchilov and Hutter 2019,
/// in the arithmetic that <see cref="AdamWOptions"/> states).
/// </summary>
public sealed class AdamWOptimizer : IDisposable
{
    private readonly ParameterSet _set;
    private readonly AdamWSettings _settings;
    private readonly Arena _moments;
    private readonly Parameter[] _parameters;
    private readonly AdamWParameter[] _entries;
    private readonly int[] _updates;
    private readonly List<Tensor> _active = [];

    /// <summary>Makes zero moments for every trainable parameter.</summary>
    /// <param name="set">The parameters.</param>
    /// <param name="settings">Hyper-parameters.</param>
    /// <param name="group">Learning-rate multiplier and weight decay of a parameter's name.</param>
    public AdamWOptimizer(ParameterSet set, AdamWSettings settings, Func<string, (float RateMultiplier, float Decay)> group)
    {
        _set = set;
        _settings = settings;
        _moments = new Arena(set.Backend, 1L << 20);
        _parameters = [.. set.Trained];
        _updates = new int[_parameters.Length];
        _entries = new AdamWParameter[_parameters.Length];
        for (int i = 0; i < _parameters.Length; i++)
        {
            Parameter p = _parameters[i];
            (float multiplier, float decay) = group(p.Name);
            _entries[i] = new AdamWParameter
            {
                Value = p.Value,
                Gradient = p.Gradient!,
                FirstMoment = Zero(p),
                SecondMoment = Zero(p),
                RateMultiplier = multiplier,
                Decay = decay,
            };
        }

        Norm = _moments.Allocate(set.Backend.ActivationType, 1);
    }

    /// <summary>(1) the global norm of the last step's gradients before clipping; written only when clipping is on.</summary>
    public Tensor Norm { get; }

    /// <summary>Bytes of the moments.</summary>
    public long StateBytes => _moments.CapacityBytes;

    /// <summary>The parameters in the order of their states.</summary>
    public IReadOnlyList<Parameter> Parameters => _parameters;

    /// <summary>Updates every parameter that got a gradient.</summary>
    /// <param name="rate">Base learning rate of this step.</param>
    /// <param name="trained">Blocks that the step's backward pass gave a gradient; null for all.</param>
    public void Step(float rate, IReadOnlySet<ParameterBlock>? trained)
    {
        _active.Clear();
        for (int i = 0; i < _entries.Length; i++)
        {
            AdamWParameter entry = _entries[i];
            bool reached = trained is null || trained.Contains(_parameters[i].Block);
            entry.Active = reached || (_settings.MissingGradient == MissingGradient.Zeroed && _updates[i] > 0);
            if (entry.Active)
            {
                entry.UpdateCount = ++_updates[i];
                _active.Add(entry.Gradient);
                _parameters[i].Block.Touch();
            }
        }

        Backend backend = _set.Backend;
        if (_settings.MaxNorm > 0)
        {
            backend.GlobalNorm(Norm, _active);
        }

        AdamWOptions options = new(
            rate, _settings.Beta1, _settings.Beta2, _settings.Epsilon, _settings.DecoupledFirst, _settings.MaxNorm);
        backend.AdamW(_entries, options, _settings.MaxNorm > 0 ? Norm : null);
    }

    /// <summary>The state of a parameter, for a checkpoint.</summary>
    public (Tensor FirstMoment, Tensor SecondMoment, int Updates) State(int index) =>
        (_entries[index].FirstMoment, _entries[index].SecondMoment, _updates[index]);

    /// <summary>Sets the update count of a parameter from a checkpoint; the moments are uploaded to the tensors of <see cref="State"/>.</summary>
    public void RestoreUpdates(int index, int updates) => _updates[index] = updates;

    /// <inheritdoc/>
    public void Dispose() => _moments.Dispose();

    private Tensor Zero(Parameter parameter)
    {
        Tensor tensor = _moments.Allocate(_set.Backend.ActivationType, parameter.Value.Shape);
        _set.Backend.Fill(tensor, 0);
        return tensor;
    }
}
