using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

/// <summary>
/// Tables in device memory that describe a list of tensors, kept with the list: a multi-tensor launch reads addresses and sizes from them. A
/// list whose tensors are others than before gets its tables anew.
/// </summary>
/// <typeparam name="TList">The list that the tables describe; compared by identity.</typeparam>
/// <typeparam name="TRow">A row of the first table, which also says whether the tables still hold.</typeparam>
internal sealed class DeviceTables<TList, TRow> : IDisposable
    where TList : class
    where TRow : unmanaged
{
    private readonly Dictionary<TList, Entry> _entries = new(ReferenceEqualityComparer.Instance);

    /// <summary>The tables of a list.</summary>
    internal sealed class Entry : IDisposable
    {
        /// <summary>The rows as they are on the device.</summary>
        internal required TRow[] Rows { get; init; }

        /// <summary>The rows.</summary>
        internal required DeviceBuffer Table { get; init; }

        /// <summary>What the list's launches use besides: pieces of work.</summary>
        internal required DeviceBuffer Pieces { get; init; }

        /// <summary>Number of pieces: blocks of the launch.</summary>
        internal required int PieceCount { get; init; }

        /// <summary>Results that one launch leaves for the next.</summary>
        internal required DeviceBuffer Results { get; init; }

        /// <inheritdoc/>
        public void Dispose()
        {
            Table.Dispose();
            Pieces.Dispose();
            Results.Dispose();
        }
    }

    /// <summary>The tables of a list if they still describe it.</summary>
    internal Entry? Find(TList list, ReadOnlySpan<TRow> rows) =>
        _entries.TryGetValue(list, out Entry? entry) && MemoryMarshal.AsBytes(rows).SequenceEqual(MemoryMarshal.AsBytes<TRow>(entry.Rows))
            ? entry
            : null;

    /// <summary>Keeps the tables of a list in place of those before.</summary>
    /// <param name="backend">Allocates and copies.</param>
    /// <param name="list">The list.</param>
    /// <param name="rows">One row a tensor.</param>
    /// <param name="pieces">Pieces of work.</param>
    /// <param name="resultBytes">Bytes for results.</param>
    internal Entry Add<TPiece>(Backend backend, TList list, ReadOnlySpan<TRow> rows, ReadOnlySpan<TPiece> pieces, long resultBytes)
        where TPiece : unmanaged
    {
        if (_entries.Remove(list, out Entry? before))
        {
            before.Dispose();
        }

        Entry entry = new()
        {
            Rows = rows.ToArray(),
            Table = Copy(backend, rows),
            Pieces = Copy(backend, pieces),
            PieceCount = pieces.Length,
            Results = backend.Allocate(Math.Max(resultBytes, 1)),
        };
        _entries.Add(list, entry);
        return entry;
    }

    /// <summary>Frees all tables.</summary>
    public void Dispose()
    {
        foreach (Entry entry in _entries.Values)
        {
            entry.Dispose();
        }

        _entries.Clear();
    }

    private static DeviceBuffer Copy<T>(Backend backend, ReadOnlySpan<T> rows)
        where T : unmanaged
    {
        DeviceBuffer buffer = backend.Allocate(Math.Max((long)rows.Length * Unsafe.SizeOf<T>(), 1));
        ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(rows);
        backend.UploadBytes(new Tensor(buffer, 0, ElementType.U8, [bytes.Length]), bytes);
        return buffer;
    }
}
