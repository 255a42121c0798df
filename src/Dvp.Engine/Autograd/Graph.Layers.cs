using Dvp.Engine.Tensors;

namespace Dvp.Engine.Autograd;

// What lives only as long as a layer: in inference, and in training that computes layers again (Chen et al. 2016, arXiv 1604.06174).
public sealed partial class Graph
{
    private readonly List<Tensor> _freeGradients = [];
    private Arena? _gradientHome;
    private int _layers;
    private int _layerInMemory;

    /// <summary>Records a layer: operators that nothing but their result is read of from outside.</summary>
    /// <remarks>
    /// In inference its activations live until the second next layer or <see cref="EndLayers"/>. In training everything is kept for
    /// the backward pass, unless the graph has <see cref="LayerMemory"/>: then the result alone is, in memory of its own, and the
    /// backward pass runs the layer's operators a second time before their gradients. They read what they read before (what comes from
    /// outside the layer is kept, and dropout is a function of site and step), so every bit is the same.
    /// </remarks>
    /// <param name="layer">Its number.</param>
    /// <param name="record">Records the operators; called once, now.</param>
    /// <returns>The layer's result.</returns>
    public Variable Layer(int layer, Func<Variable> record)
    {
        if (_layerArenas is not null)
        {
            _current = _layerArenas[layer % 2];
            _current.Reset();
        }

        return _recompute is null ? record() : RecomputedLayer(_recompute, record);
    }

    /// <summary>Ends the short lives of <see cref="Layer"/> in inference: results from here on live as long as the graph.</summary>
    public void EndLayers() => _current = _arena;

    /// <summary>Whether the gradient of <paramref name="x"/> must outlast that of <paramref name="y"/>, which is a layer's.</summary>
    internal static bool Outlives(Variable x, Variable y) => x.GradientHome is null && y.GradientHome is not null;

    private Variable RecomputedLayer(LayerMemory memory, Func<Variable> record)
    {
        (int firstStep, int firstEntry) = (_forward.Count, _tape.Count);
        memory.Activations.Reset();
        (_current, _gradientHome) = (memory.Activations, memory.Gradients);
        Variable inside = record();
        (_current, _gradientHome) = (_arena, null);
        List<Action> steps = _forward[firstStep..];
        List<(Variable Result, Action Emit)> tape = _tape[firstEntry..];
        _tape.RemoveRange(firstEntry, tape.Count);

        Variable kept = new(_arena.Allocate(inside.Value.Type, inside.Value.Shape), inside.NeedsGradient);
        _forward.Add(() => Backend.Copy(kept.Value, inside.Value));
        int number = ++_layers;
        _layerInMemory = number;
        OnBackward(kept, () =>
        {
            if (_layerInMemory != number) // the last layer's activations are there still
            {
                _backward.AddRange(steps);
                _layerInMemory = number;
            }

            memory.Gradients.Reset();
            _current = memory.Gradients;
            GradientSlot slot = kept.Slot!;
            inside.Slot = slot;
            Emit(tape);
            slot.Readers++; // it was read for the result inside, and is about to be for the one that is kept
            _current = _arena;
            if (slot.Readers == 1)
            {
                _freeGradients.Add(slot.Tensor);
            }
        });
        return kept;
    }

    /// <summary>Memory for a gradient: the layer's, inside one; else what the gradient of a layer's result has left, or new.</summary>
    private GradientSlot NewSlot(Variable x)
    {
        ElementType type = GradientType(x);
        int free = x.GradientHome is null ? _freeGradients.FindIndex(t => t.Type == type && t.Count == x.Value.Count) : -1;
        if (free < 0)
        {
            return new GradientSlot((x.GradientHome ?? _arena).Allocate(type, x.Value.Shape));
        }

        Tensor tensor = _freeGradients[free].Reshape(x.Value.Shape);
        _freeGradients.RemoveAt(free);
        return new GradientSlot(tensor);
    }
}
