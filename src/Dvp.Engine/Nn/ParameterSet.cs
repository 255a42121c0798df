using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Nn;

/// <summary>All parameters of a model, by name and in order, and the memory they live in.</summary>
public sealed class ParameterSet : IDisposable
{
    private readonly Dictionary<string, Parameter> _byName = new(StringComparer.Ordinal);
    private readonly List<Parameter> _all = [];
    private readonly List<ParameterBlock> _blocks = [];
    private readonly Arena _frozen;
    private readonly Arena _trained;
    private readonly Arena _gradients;
    private Tensor[]? _gradientRuns;

    /// <summary>Makes an empty set on a device.</summary>
    public ParameterSet(Backend backend)
    {
        Backend = backend;
        _frozen = new Arena(backend, 4L << 20);
        _trained = new Arena(backend, 1L << 20);
        _gradients = new Arena(backend, 1L << 20);
    }

    /// <summary>The device.</summary>
    public Backend Backend { get; }

    /// <summary>All parameters, in the order they were made.</summary>
    public IReadOnlyList<Parameter> All => _all;

    /// <summary>The parameters that training changes.</summary>
    public IEnumerable<Parameter> Trained => _all.Where(p => p.Trains);

    /// <summary>Bytes of the values.</summary>
    public long ValueBytes => _frozen.CapacityBytes + _trained.CapacityBytes;

    /// <summary>The parameter of a name.</summary>
    /// <exception cref="KeyNotFoundException">There is none.</exception>
    public Parameter this[string name] =>
        _byName.TryGetValue(name, out Parameter? found) ? found : throw new KeyNotFoundException($"The model has no parameter {name}.");

    /// <summary>The parameter of a name, or null.</summary>
    public Parameter? Find(string name) => _byName.GetValueOrDefault(name);

    /// <summary>Sets all gradients to zero.</summary>
    public void ZeroGradients()
    {
        _gradientRuns ??= GradientRuns();
        foreach (Tensor run in _gradientRuns)
        {
            Backend.Fill(run, 0);
        }
    }

    /// <summary>Notes that the values of everything that trains have changed.</summary>
    public void TouchTrained()
    {
        foreach (ParameterBlock block in _blocks)
        {
            if (block.Trains)
            {
                block.Touch();
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (ParameterBlock block in _blocks)
        {
            block.ReleaseDeviceForms();
        }

        _frozen.Dispose();
        _trained.Dispose();
        _gradients.Dispose();
    }

    /// <summary>Makes a block of one or more parameters whose rows follow one another.</summary>
    /// <param name="names">The parameters.</param>
    /// <param name="shape">Shape of each; its first extent is replaced by <paramref name="rows"/>.</param>
    /// <param name="rows">First extent of each.</param>
    /// <param name="trains">Whether training changes them.</param>
    /// <param name="type">Type of the values.</param>
    internal ParameterBlock Add(ReadOnlySpan<string> names, ReadOnlySpan<int> shape, ReadOnlySpan<int> rows, bool trains, ElementType type)
    {
        int[] whole = shape.ToArray();
        whole[0] = 0;
        foreach (int count in rows)
        {
            whole[0] = checked(whole[0] + count);
        }

        Tensor value = (trains ? _trained : _frozen).Allocate(type, whole);
        Tensor? gradient = trains ? _gradients.Allocate(Backend.AccumulationType, whole) : null;
        ParameterBlock block = new(value, gradient);
        _blocks.Add(block);
        _gradientRuns = null;
        int start = 0;
        for (int i = 0; i < names.Length; i++)
        {
            Parameter parameter = names.Length == 1
                ? new Parameter(names[i], block, value, gradient)
                : new Parameter(names[i], block, Part(value, start, rows[i]), gradient is null ? null : Part(gradient, start, rows[i]));
            start += rows[i];
            if (!_byName.TryAdd(parameter.Name, parameter))
            {
                throw new InvalidOperationException($"Two parameters are called {parameter.Name}.");
            }

            _all.Add(parameter);
        }

        return block;
    }

    /// <summary>The same frozen memory as a matrix.</summary>
    internal ParameterBlock View(ParameterBlock block, int rows, int columns)
    {
        ParameterBlock view = new(block.Value.Reshape(rows, columns), null);
        _blocks.Add(view);
        return view;
    }

    /// <summary>Gradients that lie one after another, with the gaps between them, as few vectors: one fill each.</summary>
    private Tensor[] GradientRuns()
    {
        List<Tensor> runs = [];
        int size = Backend.AccumulationType.Size();
        foreach (Tensor gradient in _blocks.Select(b => b.Gradient).OfType<Tensor>())
        {
            long end = gradient.ByteOffset + (gradient.Count * size);
            if (runs.Count > 0 && ReferenceEquals(runs[^1].Buffer, gradient.Buffer) && end - runs[^1].ByteOffset < int.MaxValue)
            {
                Tensor run = runs[^1];
                runs[^1] = new Tensor(run.Buffer, run.ByteOffset, run.Type, [(int)((end - run.ByteOffset) / size)]);
            }
            else
            {
                runs.Add(new Tensor(gradient.Buffer, gradient.ByteOffset, gradient.Type, [checked((int)gradient.Count)]));
            }
        }

        return [.. runs];
    }

    private static Tensor Part(Tensor whole, int start, int count) =>
        whole.Shape.Length == 1 ? whole.SliceColumns(start, count) : whole.SliceRows(start, count);
}
