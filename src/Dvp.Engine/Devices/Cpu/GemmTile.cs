using System.Runtime.CompilerServices;

namespace Dvp.Engine.Devices.Cpu;

/// <summary>One tile's work: Y = Initial + A B over K terms, for a few rows and two vectors of columns.</summary>
internal unsafe struct GemmTileArguments
{
    /// <summary>First row of A; its K values are contiguous.</summary>
    public float* A;

    /// <summary>Floats from one row of A to the next.</summary>
    public nint AStride;

    /// <summary>First row of B: two vectors of elements.</summary>
    public byte* B;

    /// <summary>Elements from one row of B to the next.</summary>
    public nint BStride;

    /// <summary>What the sums start from.</summary>
    public float* Initial;

    /// <summary>Floats from one row of the start values to the next; 0 where all rows start from the same.</summary>
    public nint InitialStride;

    /// <summary>The sums; may be the start values.</summary>
    public float* Y;

    /// <summary>Floats from one row of the sums to the next.</summary>
    public nint YStride;

    /// <summary>Number of terms.</summary>
    public nint K;

    /// <summary>Number of rows, 1 to 6.</summary>
    public nint Rows;
}

/// <summary>
/// The innermost loops of matrix products: 1, 2, 4 or 6 rows by two vectors, the sums in registers (12 of 16 for six rows), one row of B
/// and one broadcast element of A at a time.
/// </summary>
/// <remarks>
/// Every sum is built term by term in the order of k, whatever the tile, so a row's result does not depend on the rows beside it. A tile
/// of 3 or 5 rows computes its last row twice rather than branch: both write the same values to the same place.
/// </remarks>
internal static unsafe class GemmTile
{
    /// <summary>Rows of the largest tile.</summary>
    internal const int MaxRows = 6;

    /// <summary>Computes a tile of 1 to 6 rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Compute<TSimd, TVector, TElement>(in GemmTileArguments tile)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
        where TElement : struct, IPanelElement
    {
        if (tile.Rows > 4)
        {
            Rows6<TSimd, TVector, TElement>(in tile);
        }
        else if (tile.Rows > 2)
        {
            Rows4<TSimd, TVector, TElement>(in tile);
        }
        else if (tile.Rows == 2)
        {
            Rows2<TSimd, TVector, TElement>(in tile);
        }
        else
        {
            Rows1<TSimd, TVector, TElement>(in tile);
        }
    }

    /// <summary>Five or six rows, see the type.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows6<TSimd, TVector, TElement>(in GemmTileArguments tile)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
        where TElement : struct, IPanelElement
    {
        nint last = tile.Rows - 1;
        float* a0 = tile.A;
        float* a1 = a0 + tile.AStride;
        float* a2 = a0 + (2 * tile.AStride);
        float* a3 = a0 + (3 * tile.AStride);
        float* a4 = a0 + (4 * tile.AStride);
        float* a5 = a0 + (last * tile.AStride);
        float* initial = tile.Initial;
        nint step = tile.InitialStride;
        TVector c00 = TSimd.Load(initial);
        TVector c01 = TSimd.Load(initial + TSimd.Count);
        TVector c10 = TSimd.Load(initial + step);
        TVector c11 = TSimd.Load(initial + step + TSimd.Count);
        TVector c20 = TSimd.Load(initial + (2 * step));
        TVector c21 = TSimd.Load(initial + (2 * step) + TSimd.Count);
        TVector c30 = TSimd.Load(initial + (3 * step));
        TVector c31 = TSimd.Load(initial + (3 * step) + TSimd.Count);
        TVector c40 = TSimd.Load(initial + (4 * step));
        TVector c41 = TSimd.Load(initial + (4 * step) + TSimd.Count);
        TVector c50 = TSimd.Load(initial + (last * step));
        TVector c51 = TSimd.Load(initial + (last * step) + TSimd.Count);
        byte* b = tile.B;
        nint bStep = tile.BStride * TElement.Size;
        nint k = tile.K;
        for (nint i = 0; i < k; i++)
        {
            TVector b0 = TElement.Load<TSimd, TVector>(b);
            TVector b1 = TElement.Load<TSimd, TVector>(b + (TSimd.Count * TElement.Size));
            b += bStep;
            TVector a = TSimd.Create(a0[i]);
            c00 = TSimd.MultiplyAdd(a, b0, c00);
            c01 = TSimd.MultiplyAdd(a, b1, c01);
            a = TSimd.Create(a1[i]);
            c10 = TSimd.MultiplyAdd(a, b0, c10);
            c11 = TSimd.MultiplyAdd(a, b1, c11);
            a = TSimd.Create(a2[i]);
            c20 = TSimd.MultiplyAdd(a, b0, c20);
            c21 = TSimd.MultiplyAdd(a, b1, c21);
            a = TSimd.Create(a3[i]);
            c30 = TSimd.MultiplyAdd(a, b0, c30);
            c31 = TSimd.MultiplyAdd(a, b1, c31);
            a = TSimd.Create(a4[i]);
            c40 = TSimd.MultiplyAdd(a, b0, c40);
            c41 = TSimd.MultiplyAdd(a, b1, c41);
            a = TSimd.Create(a5[i]);
            c50 = TSimd.MultiplyAdd(a, b0, c50);
            c51 = TSimd.MultiplyAdd(a, b1, c51);
        }

        float* y = tile.Y;
        step = tile.YStride;
        TSimd.Store(c00, y);
        TSimd.Store(c01, y + TSimd.Count);
        TSimd.Store(c10, y + step);
        TSimd.Store(c11, y + step + TSimd.Count);
        TSimd.Store(c20, y + (2 * step));
        TSimd.Store(c21, y + (2 * step) + TSimd.Count);
        TSimd.Store(c30, y + (3 * step));
        TSimd.Store(c31, y + (3 * step) + TSimd.Count);
        TSimd.Store(c40, y + (4 * step));
        TSimd.Store(c41, y + (4 * step) + TSimd.Count);
        TSimd.Store(c50, y + (last * step));
        TSimd.Store(c51, y + (last * step) + TSimd.Count);
    }

    /// <summary>Three or four rows, see the type.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows4<TSimd, TVector, TElement>(in GemmTileArguments tile)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
        where TElement : struct, IPanelElement
    {
        nint last = tile.Rows - 1;
        float* a0 = tile.A;
        float* a1 = a0 + tile.AStride;
        float* a2 = a0 + (2 * tile.AStride);
        float* a3 = a0 + (last * tile.AStride);
        float* initial = tile.Initial;
        nint step = tile.InitialStride;
        TVector c00 = TSimd.Load(initial);
        TVector c01 = TSimd.Load(initial + TSimd.Count);
        TVector c10 = TSimd.Load(initial + step);
        TVector c11 = TSimd.Load(initial + step + TSimd.Count);
        TVector c20 = TSimd.Load(initial + (2 * step));
        TVector c21 = TSimd.Load(initial + (2 * step) + TSimd.Count);
        TVector c30 = TSimd.Load(initial + (last * step));
        TVector c31 = TSimd.Load(initial + (last * step) + TSimd.Count);
        byte* b = tile.B;
        nint bStep = tile.BStride * TElement.Size;
        nint k = tile.K;
        for (nint i = 0; i < k; i++)
        {
            TVector b0 = TElement.Load<TSimd, TVector>(b);
            TVector b1 = TElement.Load<TSimd, TVector>(b + (TSimd.Count * TElement.Size));
            b += bStep;
            TVector a = TSimd.Create(a0[i]);
            c00 = TSimd.MultiplyAdd(a, b0, c00);
            c01 = TSimd.MultiplyAdd(a, b1, c01);
            a = TSimd.Create(a1[i]);
            c10 = TSimd.MultiplyAdd(a, b0, c10);
            c11 = TSimd.MultiplyAdd(a, b1, c11);
            a = TSimd.Create(a2[i]);
            c20 = TSimd.MultiplyAdd(a, b0, c20);
            c21 = TSimd.MultiplyAdd(a, b1, c21);
            a = TSimd.Create(a3[i]);
            c30 = TSimd.MultiplyAdd(a, b0, c30);
            c31 = TSimd.MultiplyAdd(a, b1, c31);
        }

        float* y = tile.Y;
        step = tile.YStride;
        TSimd.Store(c00, y);
        TSimd.Store(c01, y + TSimd.Count);
        TSimd.Store(c10, y + step);
        TSimd.Store(c11, y + step + TSimd.Count);
        TSimd.Store(c20, y + (2 * step));
        TSimd.Store(c21, y + (2 * step) + TSimd.Count);
        TSimd.Store(c30, y + (last * step));
        TSimd.Store(c31, y + (last * step) + TSimd.Count);
    }

    /// <summary>Two rows, see the type.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows2<TSimd, TVector, TElement>(in GemmTileArguments tile)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
        where TElement : struct, IPanelElement
    {
        float* a0 = tile.A;
        float* a1 = a0 + tile.AStride;
        float* initial = tile.Initial;
        nint step = tile.InitialStride;
        TVector c00 = TSimd.Load(initial);
        TVector c01 = TSimd.Load(initial + TSimd.Count);
        TVector c10 = TSimd.Load(initial + step);
        TVector c11 = TSimd.Load(initial + step + TSimd.Count);
        byte* b = tile.B;
        nint bStep = tile.BStride * TElement.Size;
        nint k = tile.K;
        for (nint i = 0; i < k; i++)
        {
            TVector b0 = TElement.Load<TSimd, TVector>(b);
            TVector b1 = TElement.Load<TSimd, TVector>(b + (TSimd.Count * TElement.Size));
            b += bStep;
            TVector a = TSimd.Create(a0[i]);
            c00 = TSimd.MultiplyAdd(a, b0, c00);
            c01 = TSimd.MultiplyAdd(a, b1, c01);
            a = TSimd.Create(a1[i]);
            c10 = TSimd.MultiplyAdd(a, b0, c10);
            c11 = TSimd.MultiplyAdd(a, b1, c11);
        }

        float* y = tile.Y;
        step = tile.YStride;
        TSimd.Store(c00, y);
        TSimd.Store(c01, y + TSimd.Count);
        TSimd.Store(c10, y + step);
        TSimd.Store(c11, y + step + TSimd.Count);
    }

    /// <summary>One row, see the type.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Rows1<TSimd, TVector, TElement>(in GemmTileArguments tile)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
        where TElement : struct, IPanelElement
    {
        float* a0 = tile.A;
        float* initial = tile.Initial;
        TVector c00 = TSimd.Load(initial);
        TVector c01 = TSimd.Load(initial + TSimd.Count);
        byte* b = tile.B;
        nint bStep = tile.BStride * TElement.Size;
        nint k = tile.K;
        for (nint i = 0; i < k; i++)
        {
            TVector b0 = TElement.Load<TSimd, TVector>(b);
            TVector b1 = TElement.Load<TSimd, TVector>(b + (TSimd.Count * TElement.Size));
            b += bStep;
            TVector a = TSimd.Create(a0[i]);
            c00 = TSimd.MultiplyAdd(a, b0, c00);
            c01 = TSimd.MultiplyAdd(a, b1, c01);
        }

        float* y = tile.Y;
        TSimd.Store(c00, y);
        TSimd.Store(c01, y + TSimd.Count);
    }
}
