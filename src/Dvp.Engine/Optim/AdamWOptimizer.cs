using System.Runtime.InteropServices;
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

/// <summary>The update of the parameters that one kind of step trains: what a device is told, fixed so that it can be recorded.</summary>
public sealed class AdamWPlan
{
    internal AdamWPlan(AdamWParameter[] entries)
    {
        Entries = entries;
        Gradients = [.. entries.Where(e => e.Active).Select(e => e.Gradient)];
    }

    /// <summary>All parameters; the active ones are updated.</summary>
    internal AdamWParameter[] Entries { get; }

    /// <summary>Gradients of the active parameters.</summary>
    internal Tensor[] Gradients { get; }
}

/// <summary>
/// AdamW over every trainable parameter of a set, in one multi-tensor step. Every tensor counts its own updates (Loshchilov and Hutter 2019,
/// in the arithmetic that <see cref="AdamWOptions"/> states).
/// </summary>
/// <remarks>
/// A step is three parts, so that a device can record the middle one: <see cref="SetRate"/> copies the rate to the device,
/// <see cref="Update"/> calls the operators, <see cref="NoteUpdate"/> notes what changed. Update counts live on the device, where a step whose
/// loss or norm is no number leaves them as they are.
/// </remarks>
public sealed class AdamWOptimizer : IDisposable
{
    private readonly ParameterSet _set;
    private readonly AdamWSettings _settings;
    private readonly Arena _state;
    private readonly Parameter[] _parameters;
    private readonly AdamWParameter[] _entries;
    private readonly Tensor _rate;
    private readonly Tensor _counts;
    private readonly float[] _hostRate = new float[1];
    private readonly bool[] _updated;
    private readonly Dictionary<string, AdamWPlan> _plans = new(StringComparer.Ordinal);
    private readonly AdamWOptions _options;
    private readonly LossScaler? _scaler;

    /// <summary>Makes the moments of every trainable parameter, all zero.</summary>
    /// <param name="set">The parameters.</param>
    /// <param name="settings">Arithmetic.</param>
    /// <param name="group">Factor on the rate, and weight decay, of a parameter's name.</param>
    /// <param name="norm">(1) where the gradients' norm goes; null for memory of the optimiser's own</param>
    /// <param name="scaler">The scale that the gradients come with, and that moves with every update; null for none</param>
    public AdamWOptimizer(
        ParameterSet set, AdamWSettings settings, Func<string, (float RateMultiplier, float Decay)> group, Tensor? norm = null,
        LossScaler? scaler = null)
    {
        _scaler = scaler;
        _set = set;
        _settings = settings;
        _state = new Arena(set.Backend, 1L << 20);
        _parameters = [.. set.Trained];
        _updated = new bool[_parameters.Length];
        _entries = new AdamWParameter[_parameters.Length];
        for (int i = 0; i < _parameters.Length; i++)
        {
            Parameter p = _parameters[i];
            (float multiplier, float decay) = group(p.Name);
            _entries[i] = Entry(p.Value, p.Gradient!, Zero(p), Zero(p), multiplier, decay, active: true);
        }

        Norm = norm ?? _state.Allocate(set.Backend.AccumulationType, 1);
        _rate = _state.Allocate(ElementType.F32, 1);
        _counts = _state.Allocate(ElementType.I32, _parameters.Length);
        _options = new AdamWOptions(settings.Beta1, settings.Beta2, settings.Epsilon, settings.DecoupledFirst, settings.MaxNorm);
    }

    /// <summary>(1) the global norm of the last step's gradients before clipping; written where clipping or a loss scale needs it.</summary>
    public Tensor Norm { get; }

    /// <summary>Bytes of the moments.</summary>
    public long StateBytes => _state.CapacityBytes;

    /// <summary>The parameters in the order of their states.</summary>
    public IReadOnlyList<Parameter> Parameters => _parameters;

    /// <summary>
    /// The update after a backward pass. The same plan comes back for the same parameters; where missing gradients count as zeros it grows
    /// with the parameters that were ever updated.
    /// </summary>
    /// <param name="trained">Blocks that the step's backward pass gave a gradient; null for all.</param>
    public AdamWPlan Plan(IReadOnlySet<ParameterBlock>? trained)
    {
        string key = string.Create(_parameters.Length, (this, trained), static (flags, of) =>
        {
            for (int i = 0; i < flags.Length; i++)
            {
                flags[i] = of.Item1.IsActive(i, of.trained) ? '1' : '0';
            }
        });
        if (!_plans.TryGetValue(key, out AdamWPlan? plan))
        {
            plan = new AdamWPlan([.. _entries.Select((e, i) => Entry(
                e.Value, e.Gradient, e.FirstMoment, e.SecondMoment, e.RateMultiplier, e.Decay, key[i] == '1'))]);
            _plans.Add(key, plan);
        }

        return plan;
    }

    /// <summary>Whether a plan still is what <see cref="Plan"/> would give.</summary>
    public bool IsCurrent(AdamWPlan plan)
    {
        if (_settings.MissingGradient == MissingGradient.Zeroed)
        {
            for (int i = 0; i < _updated.Length; i++)
            {
                if (_updated[i] && !plan.Entries[i].Active)
                {
                    return false;
                }
            }
        }

        return true;
    }

    /// <summary>Sets the base learning rate of the updates that follow.</summary>
    public void SetRate(float rate)
    {
        _hostRate[0] = rate;
        _set.Backend.Upload(_rate, _hostRate);
    }

    /// <summary>Updates the active parameters of a plan: operators only, to be recorded.</summary>
    /// <param name="plan">Which parameters.</param>
    /// <param name="loss">(1) the loss of the step, which updates nothing when it is no number; or null</param>
    public void Update(AdamWPlan plan, Tensor? loss)
    {
        Backend backend = _set.Backend;
        bool measures = _settings.MaxNorm > 0 || _scaler is not null;
        if (measures)
        {
            backend.GlobalNorm(Norm, plan.Gradients, _scaler?.Scale);
        }

        backend.AdamW(plan.Entries, _options, _rate, _counts, measures ? Norm : null, loss, _scaler?.Scale);
        _scaler?.Update(Norm);
    }

    /// <summary>Notes that an update of this plan has changed its parameters.</summary>
    public void NoteUpdate(AdamWPlan plan)
    {
        for (int i = 0; i < _parameters.Length; i++)
        {
            if (plan.Entries[i].Active)
            {
                _updated[i] = true;
                _parameters[i].Block.Touch();
            }
        }
    }

    /// <summary>A whole step: rate, update, note.</summary>
    /// <param name="rate">Base learning rate of this step.</param>
    /// <param name="trained">Blocks that the step's backward pass gave a gradient; null for all.</param>
    public void Step(float rate, IReadOnlySet<ParameterBlock>? trained)
    {
        AdamWPlan plan = Plan(trained);
        SetRate(rate);
        Update(plan, loss: null);
        NoteUpdate(plan);
    }

    /// <summary>The moments of a parameter, for a checkpoint.</summary>
    public (Tensor FirstMoment, Tensor SecondMoment) Moments(int index) => (_entries[index].FirstMoment, _entries[index].SecondMoment);

    /// <summary>Updates of each parameter so far, for a checkpoint.</summary>
    public int[] UpdateCounts()
    {
        int[] counts = new int[_parameters.Length];
        _set.Backend.DownloadBytes(MemoryMarshal.AsBytes(counts.AsSpan()), _counts);
        return counts;
    }

    /// <summary>Sets the update counts from a checkpoint; the moments are uploaded to the tensors of <see cref="Moments"/>.</summary>
    public void RestoreUpdateCounts(ReadOnlySpan<int> counts)
    {
        _set.Backend.Upload(_counts, counts);
        for (int i = 0; i < counts.Length; i++)
        {
            _updated[i] = counts[i] > 0;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _state.Dispose();

    private bool IsActive(int index, IReadOnlySet<ParameterBlock>? trained) =>
        trained is null
        || trained.Contains(_parameters[index].Block)
        || (_settings.MissingGradient == MissingGradient.Zeroed && _updated[index]);

    private static AdamWParameter Entry(
        Tensor value, Tensor gradient, Tensor first, Tensor second, float multiplier, float decay, bool active) => new()
        {
            Value = value,
            Gradient = gradient,
            FirstMoment = first,
            SecondMoment = second,
            RateMultiplier = multiplier,
            Decay = decay,
            Active = active,
        };

    private Tensor Zero(Parameter parameter)
    {
        Tensor tensor = _state.Allocate(_set.Backend.AccumulationType, parameter.Value.Shape);
        _set.Backend.Fill(tensor, 0);
        return tensor;
    }
}
