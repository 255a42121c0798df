using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Nn;

/// <summary>Where the values of parameters come from: files, or several sources one after another.</summary>
public interface IParameterValues
{
    /// <summary>Reads a tensor as floats if it is there, checks its shape, and notes that it was used.</summary>
    /// <exception cref="DvpException">The tensor is there but damaged or of another shape.</exception>
    bool TryRead(string name, ReadOnlySpan<int> shape, Span<float> destination);
}

/// <summary>Fills a new parameter with its initial values.</summary>
public delegate void Initializer(Span<float> values);

/// <summary>
/// Makes a model's parameters: allocates them, decides which of them train, and fills them from a checkpoint or with initial values.
/// </summary>
public sealed class ParameterBuilder
{
    private readonly string _prefix;
    private readonly List<string> _missing;

    /// <summary>Starts at the root of a checkpoint's names.</summary>
    /// <param name="set">Receives the parameters.</param>
    /// <param name="values">The checkpoint.</param>
    /// <param name="trains">Whether training changes the parameter of a name.</param>
    public ParameterBuilder(ParameterSet set, IParameterValues values, Func<string, bool> trains)
        : this(set, values, trains, "", [])
    {
    }

    private ParameterBuilder(ParameterSet set, IParameterValues values, Func<string, bool> trains, string prefix, List<string> missing)
    {
        Set = set;
        Values = values;
        Trains = trains;
        _prefix = prefix;
        _missing = missing;
    }

    /// <summary>The parameters made so far.</summary>
    public ParameterSet Set { get; }

    /// <summary>The checkpoint.</summary>
    public IParameterValues Values { get; }

    /// <summary>Whether training changes the parameter of a full name.</summary>
    public Func<string, bool> Trains { get; }

    /// <summary>
    /// Type in which frozen matrices are kept by a device with f32 activations; null for the device's own choice. Other devices keep them
    /// in their activation type. What trains is in the accumulation type always.
    /// </summary>
    public ElementType? FrozenMatrixType { get; init; }

    /// <summary>Whether a parameter without a value is missing even where initial values are known: a whole checkpoint is expected.</summary>
    public bool IgnoreInitial { get; init; }

    /// <summary>Names that had no value and no initial values; the loader reports them.</summary>
    public IReadOnlyList<string> Missing => _missing;

    /// <summary>The names below a prefix: <c>builder["encoder"]["layer.0"]</c>.</summary>
    public ParameterBuilder this[string scope] =>
        new(Set, Values, Trains, _prefix + scope + ".", _missing) { FrozenMatrixType = FrozenMatrixType, IgnoreInitial = IgnoreInitial };

    /// <summary>A matrix (rows, columns); weights are (out, in).</summary>
    public ParameterBlock Matrix(string name, int rows, int columns, Initializer? initial = null) => Make([name], [rows, columns], initial);

    /// <summary>A matrix that is looked up or read element by element, never multiplied: kept in the activation type while frozen.</summary>
    public ParameterBlock Table(string name, int rows, int columns, Initializer? initial = null) =>
        Make([name], [rows, columns], initial, Set.Backend.ActivationType);

    /// <summary>A convolution kernel (out, in, side, side) whose stride is its side, as the matrix (out, in side side) that multiplies patches.</summary>
    public ParameterBlock Convolution(string name, int outputs, int inputs, int side)
    {
        ParameterBlock block = Make([name], [outputs, inputs, side, side], null);
        return Set.View(block, outputs, inputs * side * side);
    }

    /// <summary>A vector.</summary>
    public ParameterBlock Vector(string name, int count, Initializer? initial = null) => Make([name], [count], initial, Set.Backend.ActivationType);

    /// <summary>Matrices that are multiplied together: rows follow one another in one block.</summary>
    public ParameterBlock StackedMatrix(ReadOnlySpan<string> names, int rows, int columns) => Make(names, [rows, columns], null);

    /// <summary>Matrices of different heights that are multiplied together: rows follow one another in one block.</summary>
    public ParameterBlock StackedMatrix(ReadOnlySpan<string> names, ReadOnlySpan<int> rows, int columns) =>
        Make(names, [rows[0], columns], null, rows: rows);

    /// <summary>Vectors that are used together.</summary>
    public ParameterBlock StackedVector(ReadOnlySpan<string> names, int count) => Make(names, [count], null, Set.Backend.ActivationType);

    private ParameterBlock Make(
        ReadOnlySpan<string> names, ReadOnlySpan<int> shape, Initializer? initial, ElementType? type = null, ReadOnlySpan<int> rows = default)
    {
        int[] rowsOfEach = rows.IsEmpty ? [.. Enumerable.Repeat(shape[0], names.Length)] : rows.ToArray();
        string[] full = new string[names.Length];
        for (int i = 0; i < names.Length; i++)
        {
            full[i] = _prefix + names[i];
        }

        bool trains = Trains(full[0]);
        if (full.Any(n => Trains(n) != trains))
        {
            throw new InvalidOperationException($"{string.Join(", ", full)} are one block and train together or not at all.");
        }

        Backend backend = Set.Backend;
        ElementType stored = trains ? backend.AccumulationType
            : backend.ActivationType != ElementType.F32 ? backend.ActivationType
            : type ?? FrozenMatrixType ?? backend.FrozenMatrixType;
        ParameterBlock block = Set.Add(full, shape, rowsOfEach, trains, stored);
        int[] own = shape.ToArray();
        for (int i = 0; i < full.Length; i++)
        {
            own[0] = rowsOfEach[i];
            int count = 1;
            foreach (int extent in own)
            {
                count = checked(count * extent);
            }

            float[] values = new float[count];
            if (!Values.TryRead(full[i], own, values))
            {
                if (initial is null || IgnoreInitial)
                {
                    _missing.Add(full[i]);
                    continue;
                }

                initial(values);
            }

            backend.Upload(Set[full[i]].Value, values);
        }

        return block;
    }
}
