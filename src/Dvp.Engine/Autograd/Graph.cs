using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Autograd;

/// <summary>
/// A step of a model, written down once and replayed for every batch of the same shape: the list of fused operators of the forward pass,
/// and, in reverse, those of the backward pass that lead to a trainable parameter.
/// </summary>
/// <remarks>
/// <para>Model code calls the operators (<see cref="Ops"/>) once; each allocates its results in the arena and records what to run. A replay
/// touches no managed memory, and its addresses are those of the recording. Graphs that share an arena overwrite one another's
/// activations, so one runs at a time.</para>
/// <para>An operator's backward part is recorded when <see cref="Backward"/> walks the tape in reverse: by then it is known which gradients are
/// needed and which contribution to a gradient comes first (written) or later (added).</para>
/// </remarks>
public sealed partial class Graph
{
    private readonly List<Action> _forward = [];
    private readonly List<Action> _backward = [];
    private readonly List<(Variable Result, Action Emit)> _tape = [];
    private readonly HashSet<ParameterBlock> _trained = [];
    private readonly Arena _arena;
    private readonly Arena[]? _layerArenas;
    private readonly LayerMemory? _recompute;
    private readonly Arena _constants;
    private Arena _current;
    private int _dropoutSites;

    /// <summary>Starts a recording at the beginning of the arena.</summary>
    /// <param name="backend">The device that runs the operators.</param>
    /// <param name="arena">Memory of the activations.</param>
    /// <param name="training">Whether gradients and dropout are wanted.</param>
    /// <param name="dropoutState">The device's seed and step of the dropout streams (see <see cref="Dropout.State"/>); null for no dropout.</param>
    /// <param name="layerArenas">Two arenas for activations that live no longer than two layers; inference only.</param>
    /// <param name="constants">Memory of <see cref="Integers"/>, which no recording resets; by default the arena, for a graph that has it alone.</param>
    /// <param name="lossScale">(1) the device's factor on the gradient of the loss (see <see cref="Optim.LossScaler"/>); null for 1.</param>
    /// <param name="recompute">
    /// Memory of one layer: of the others the results alone are kept, and the backward pass computes them again; training only. Null keeps
    /// everything.
    /// </param>
    public Graph(
        Backend backend, Arena arena, bool training, Tensor? dropoutState = null, Arena[]? layerArenas = null, Arena? constants = null,
        Tensor? lossScale = null, LayerMemory? recompute = null)
    {
        LossScale = lossScale;
        Backend = backend;
        Training = training;
        DropoutState = dropoutState;
        _arena = arena;
        _current = arena;
        _constants = constants ?? arena;
        _layerArenas = training ? null : layerArenas;
        _recompute = training ? recompute : null;
        _arena.Reset();
    }

    /// <summary>The device.</summary>
    public Backend Backend { get; }

    /// <summary>Whether a backward pass will follow.</summary>
    public bool Training { get; }

    /// <summary>Seed and step of the dropout streams; null when nothing is dropped.</summary>
    public Tensor? DropoutState { get; }

    /// <summary>The factor that the gradients come with and the loss does not; null for 1.</summary>
    public Tensor? LossScale { get; }

    /// <summary>The parameter blocks that the backward pass gives a gradient: what the optimiser updates after a run.</summary>
    public IReadOnlySet<ParameterBlock> Trained => _trained;

    /// <summary>Number of recorded operators, forward and backward.</summary>
    public int Operators => _forward.Count + _backward.Count;

    /// <summary>An input that the caller fills before each run.</summary>
    public Variable Input(ElementType type, params ReadOnlySpan<int> shape) => new(_arena.Allocate(type, shape), needsGradient: false);

    /// <summary>Integers that are the same in every run (positions, a start token), written to the device now.</summary>
    /// <param name="values">The values, row by row.</param>
    /// <param name="shape">Their shape.</param>
    public Variable Integers(ReadOnlySpan<int> values, params ReadOnlySpan<int> shape)
    {
        Tensor tensor = _constants.Allocate(ElementType.I32, shape);
        Backend.Upload(tensor, values);
        return new Variable(tensor, needsGradient: false);
    }

    /// <summary>Numbers that are the same in every run (frequencies), in the accumulation type, written to the device now.</summary>
    public Tensor Numbers(ReadOnlySpan<float> values)
    {
        Tensor tensor = _constants.Allocate(Backend.AccumulationType, values.Length);
        Backend.Upload(tensor, values);
        return tensor;
    }

    /// <summary>A tensor from elsewhere (another graph's result, a store of features) as an input without gradient.</summary>
    public Variable Constant(Tensor value) => new(value, needsGradient: false);

    /// <summary>A tensor from elsewhere whose gradient is wanted, for tests and for models that continue another's result.</summary>
    public Variable Leaf(Tensor value) => new(value, needsGradient: Training);

    /// <summary>Runs the forward pass.</summary>
    public void RunForward()
    {
        foreach (Action step in _forward)
        {
            step();
        }
    }

    /// <summary>Runs the backward pass, adding to the parameters' gradients.</summary>
    public void RunBackward()
    {
        foreach (Action step in _backward)
        {
            step();
        }
    }

    /// <summary>Records the backward pass of a loss whose own gradient its operator wrote (see <see cref="Ops.CrossEntropy"/>).</summary>
    /// <exception cref="InvalidOperationException">The graph is not for training, or the backward pass is recorded already.</exception>
    public void Backward()
    {
        if (!Training || _backward.Count > 0)
        {
            throw new InvalidOperationException("A backward pass is recorded once, in a graph made for training.");
        }

        Emit(_tape);
    }

    internal Tensor Allocate(ElementType type, params ReadOnlySpan<int> shape) => _current.Allocate(type, shape);

    /// <summary>An activation for backward: kept as long as the graph.</summary>
    internal Tensor Save(params ReadOnlySpan<int> shape) => _current.Allocate(Backend.ActivationType, shape);

    /// <summary>Statistics and sums for backward, in the accumulation type: kept as long as the graph.</summary>
    internal Tensor SaveStatistics(params ReadOnlySpan<int> shape) => _current.Allocate(Backend.AccumulationType, shape);

    internal Variable Result(bool needsGradient, params ReadOnlySpan<int> shape) => Result(Backend.ActivationType, needsGradient, shape);

    /// <summary>A result of another type: the residual stream's.</summary>
    internal Variable Result(ElementType type, bool needsGradient, params ReadOnlySpan<int> shape) =>
        new(_current.Allocate(type, shape), Training && needsGradient);

    internal void Forward(Action step) => _forward.Add(step);

    internal void OnBackward(Variable result, Action emit)
    {
        if (result.NeedsGradient)
        {
            result.GradientHome = _gradientHome;
            _tape.Add((result, emit));
        }
    }

    /// <summary>Adds an operator to the backward pass; called from an <see cref="OnBackward"/> callback.</summary>
    internal void BackwardStep(Action step) => _backward.Add(step);

    /// <summary>Notes parameters that a recorded step adds a gradient to; null and frozen blocks are passed over.</summary>
    internal void Trains(params ReadOnlySpan<ParameterBlock?> blocks)
    {
        foreach (ParameterBlock? block in blocks)
        {
            if (block is { Trains: true })
            {
                _trained.Add(block.Whole);
            }
        }
    }

    internal int NextDropoutSite() => _dropoutSites++;

    /// <summary>Where to write a contribution to the gradient of <paramref name="x"/>, and whether earlier ones are there to be added to.</summary>
    internal (Tensor Gradient, bool Accumulate) GradientOf(Variable x)
    {
        if (x.Slot is null)
        {
            x.Slot = NewSlot(x);
            return (x.Slot.Tensor, false);
        }

        if (x.Slot.Readers > 1)
        {
            // Another variable still reads this memory: take a copy before adding to it.
            GradientSlot shared = x.Slot;
            shared.Readers--;
            x.Slot = NewSlot(x);
            Tensor copy = x.Slot.Tensor;
            _backward.Add(() => Backend.Copy(copy, shared.Tensor));
        }

        return (x.Slot.Tensor, true);
    }

    /// <summary>Uses memory that an operator filled itself as the gradient of <paramref name="x"/>.</summary>
    internal static void SetGradient(Variable x, Tensor gradient) => x.Slot = new GradientSlot(gradient);

    /// <summary>
    /// Records a backward operator whose one result is the gradient of both terms of a sum, sharing the memory where neither has a gradient yet
    /// and both are of one type. Where they are not, one of them is the residual stream: the operator writes in its type.
    /// </summary>
    internal void BackwardOfSum(Variable x, Variable? residual, Action<Tensor, bool> record)
    {
        bool toResidual = residual is { NeedsGradient: true };
        if (!x.NeedsGradient && !toResidual)
        {
            return;
        }

        if (!x.NeedsGradient || !toResidual)
        {
            (Tensor only, bool accumulate) = GradientOf(x.NeedsGradient ? x : residual!);
            record(only, accumulate);
        }
        else if (ReferenceEquals(x, residual))
        {
            (Tensor twice, bool accumulate) = GradientOf(x);
            record(twice, accumulate);
            record(twice, true);
        }
        else if (GradientType(x) != GradientType(residual!))
        {
            (Variable stream, Variable narrow) = GradientType(x) == Backend.StreamType ? (x, residual!) : (residual!, x);
            if (stream.Slot is null)
            {
                (Tensor first, _) = GradientOf(stream);
                record(first, false);
                PassGradient(narrow, first);
            }
            else
            {
                Tensor sum = Allocate(Backend.StreamType, x.Value.Shape);
                record(sum, false);
                AddTo(stream, sum);
                PassGradient(narrow, sum);
            }
        }
        else if (x.Slot is null && residual!.Slot is null)
        {
            (Variable owner, Variable guest) = Outlives(residual, x) ? (residual, x) : (x, residual);
            (Tensor both, _) = GradientOf(owner);
            record(both, false);
            owner.Slot!.Readers = 2;
            guest.Slot = owner.Slot;
        }
        else
        {
            (Variable fresh, Variable other) = x.Slot is null ? (x, residual!) : (residual!, x);
            if (fresh.Slot is not null)
            {
                Tensor scratch = Allocate(GradientType(x), x.Value.Shape);
                record(scratch, false);
                AddTo(x, scratch);
                AddTo(residual!, scratch);
                return;
            }

            (Tensor written, _) = GradientOf(fresh);
            record(written, false);
            AddTo(other, written);
        }
    }

    /// <summary>Records that the gradient of a result flows unchanged to <paramref name="x"/>.</summary>
    internal void PassGradient(Variable x, Tensor gradient)
    {
        (Tensor dx, bool accumulate) = GradientOf(x);
        _backward.Add(accumulate ? () => Backend.Add(dx, gradient) : () => Backend.Copy(dx, gradient));
    }

    /// <summary>Gradients are of the activation type, those of the residual stream of its own.</summary>
    private ElementType GradientType(Variable x) => x.Value.Type == Backend.StreamType ? Backend.StreamType : Backend.ActivationType;

    /// <summary>Records the backward parts of a tape, last operator first.</summary>
    private static void Emit(List<(Variable Result, Action Emit)> tape)
    {
        for (int i = tape.Count - 1; i >= 0; i--)
        {
            (Variable result, Action emit) = tape[i];
            if (result.Slot is { } slot)
            {
                emit();
                slot.Readers--;
            }
        }
    }

    private void AddTo(Variable x, Tensor contribution)
    {
        (Tensor gradient, _) = GradientOf(x);
        _backward.Add(() => Backend.Add(gradient, contribution));
    }
}
