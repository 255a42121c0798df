using System.Globalization;

namespace Dvp.Engine.IO;

/// <summary>
/// Gives a model its weights by name and keeps the account: what was asked for and is missing or has another shape, and what is there and
/// nobody asked for. <see cref="Finish"/> turns the account into one error.
/// </summary>
/// <remarks>
/// <c>source["encoder"]["layer.0"]</c> is the same source with names under <c>encoder.layer.0.</c>. A missing or mis-shaped tensor reads as
/// zeros until <see cref="Finish"/> throws, so that all of them are found in one run: a model must call it before it is used.
/// </remarks>
public sealed class TensorSource
{
    private const int ListedNames = 50;

    private readonly Account _account;
    private readonly string _prefix;

    /// <summary>Makes a source over a set of tensors.</summary>
    /// <param name="tensors">The tensors; they stay open as long as weights are read.</param>
    /// <param name="modernName">Maps a stored name to the one asked for, see <see cref="WeightNames"/>; null for no change.</param>
    /// <param name="accepted">Patterns of stored or mapped names that may be there unasked: buffers, heads not asked for.</param>
    /// <exception cref="DvpException">Two stored tensors map to one name and are not equal.</exception>
    public TensorSource(ITensorSet tensors, Func<string, string>? modernName = null, IEnumerable<string>? accepted = null)
        : this(new Account(tensors, [.. accepted ?? []]), "")
    {
        foreach (string stored in tensors.Names)
        {
            string name = modernName?.Invoke(stored) ?? stored;
            if (!_account.StoredNames.TryAdd(name, stored) && !TensorBytes.AreEqual(tensors, stored, _account.StoredNames[name]))
            {
                throw new DvpException($"{tensors.Origin}: tensors {_account.StoredNames[name]} and {stored} are both {name} and differ; "
                    + "the file is not usable as it is.");
            }
        }
    }

    private TensorSource(Account account, string prefix)
    {
        _account = account;
        _prefix = prefix;
    }

    /// <summary>The same source with names under a prefix.</summary>
    /// <param name="prefix">One or more parts of a name, without the last dot.</param>
    public TensorSource this[string prefix] => new(_account, $"{_prefix}{prefix}.");

    /// <summary>Where the tensors come from, for messages.</summary>
    public string Origin => _account.Tensors.Origin;

    /// <summary>Whether a tensor is there; does not count as asking for it.</summary>
    public bool Has(string name) => _account.StoredNames.ContainsKey(_prefix + name);

    /// <summary>Whether any tensor is there under the prefix of this source; does not count as asking for it.</summary>
    public bool HasAny() => _account.StoredNames.Keys.Any(n => n.StartsWith(_prefix, StringComparison.Ordinal));

    /// <summary>A tensor that must be there.</summary>
    /// <param name="name">Name under the prefix of this source.</param>
    /// <param name="shape">Its shape; -1 fits any extent.</param>
    public Weight Required(string name, params ReadOnlySpan<int> shape)
    {
        Weight? weight = Optional(name, shape);
        if (weight is not null)
        {
            return weight;
        }

        _account.Missing.Add(_prefix + name);
        return new Weight(_account.Tensors, _prefix + name, null, shape);
    }

    /// <summary>A tensor that may be there; null where it is not.</summary>
    /// <param name="name">Name under the prefix of this source.</param>
    /// <param name="shape">Its shape; -1 fits any extent.</param>
    public Weight? Optional(string name, params ReadOnlySpan<int> shape)
    {
        string full = _prefix + name;
        if (!_account.StoredNames.TryGetValue(full, out string? stored))
        {
            return null;
        }

        _account.Used.Add(full);
        ReadOnlySpan<int> found = _account.Tensors.ShapeOf(stored);
        if (!Fits(found, shape))
        {
            string needed = TensorShape.Format(shape).Replace("-1", "any", StringComparison.Ordinal);
            _account.MisShaped.Add($"{full} is {TensorShape.Format(found)}, must be {needed}");
            return new Weight(_account.Tensors, full, null, shape);
        }

        return new Weight(_account.Tensors, full, stored, found);
    }

    /// <summary>
    /// A tensor that a file may hold under several names because the model uses it in several places: the first name that is there is read,
    /// and the others must be equal copies.
    /// </summary>
    /// <param name="name">Its proper name.</param>
    /// <param name="copies">Other names under which it may be there as well, or instead.</param>
    /// <param name="shape">Its shape; -1 fits any extent.</param>
    public Weight RequiredTied(string name, ReadOnlySpan<string> copies, params ReadOnlySpan<int> shape)
    {
        string? first = Has(name) ? name : null;
        foreach (string copy in copies)
        {
            if (Has(copy))
            {
                first ??= copy;
                Tied(copy, first);
            }
        }

        return Required(first ?? name, shape);
    }

    /// <summary>Accepts a tensor that must be an equal copy of another, where it is there.</summary>
    /// <param name="copy">The copy.</param>
    /// <param name="original">The tensor that the model reads.</param>
    public void Tied(string copy, string original)
    {
        if (copy == original || !_account.StoredNames.TryGetValue(_prefix + copy, out string? stored))
        {
            return;
        }

        _account.Used.Add(_prefix + copy);
        if (_account.StoredNames.TryGetValue(_prefix + original, out string? other)
            && !TensorBytes.AreEqual(_account.Tensors, stored, other))
        {
            _account.Untied.Add($"{_prefix}{copy} is not equal to {_prefix}{original}");
        }
    }

    /// <summary>Ends loading: everything asked for must have been there in its shape, everything there asked for or accepted.</summary>
    /// <exception cref="DvpException">Lists all missing, unexpected, mis-shaped and wrongly tied tensors by name.</exception>
    public void Finish()
    {
        string[] unexpected =
        [
            .. _account.StoredNames.Where(pair => !_account.Used.Contains(pair.Key) && !IsAccepted(pair.Key) && !IsAccepted(pair.Value))
                .Select(pair => pair.Value),
        ];
        List<string> parts = [];
        Describe(parts, _account.Missing, "missing");
        Describe(parts, unexpected, "not expected");
        Describe(parts, _account.MisShaped, "of another shape");
        Describe(parts, _account.Untied, "not tied");
        if (parts.Count > 0)
        {
            throw new DvpException($"{Origin} does not fit the model: {string.Join("; ", parts)}.");
        }
    }

    private static bool Fits(ReadOnlySpan<int> found, ReadOnlySpan<int> shape)
    {
        if (found.Length != shape.Length)
        {
            return false;
        }

        for (int axis = 0; axis < shape.Length; axis++)
        {
            if (shape[axis] >= 0 && shape[axis] != found[axis])
            {
                return false;
            }
        }

        return true;
    }

    private static void Describe(List<string> parts, IReadOnlyCollection<string> names, string what)
    {
        if (names.Count > 0)
        {
            string more = names.Count > ListedNames ? FormattableString.Invariant($" and {names.Count - ListedNames} more") : "";
            parts.Add(string.Create(CultureInfo.InvariantCulture,
                $"{names.Count} {(names.Count == 1 ? "tensor" : "tensors")} {what} ({string.Join(", ", names.Take(ListedNames))}{more})"));
        }
    }

    private bool IsAccepted(string name) => _account.Accepted.Exists(pattern => NamePattern.Fits(pattern, name));

    private sealed class Account(ITensorSet tensors, List<string> accepted)
    {
        public ITensorSet Tensors { get; } = tensors;

        public List<string> Accepted { get; } = accepted;

        public Dictionary<string, string> StoredNames { get; } = new(StringComparer.Ordinal);

        public HashSet<string> Used { get; } = new(StringComparer.Ordinal);

        public List<string> Missing { get; } = [];

        public List<string> MisShaped { get; } = [];

        public List<string> Untied { get; } = [];
    }
}
