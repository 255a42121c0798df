using System.Numerics;
using System.Runtime.Intrinsics;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cpu;

/// <summary>
/// Matrix products in f32 on the CPU. Sums are built term by term in the order of k with one rounding each (where the machine has fused
/// multiply-add), never divided among threads: the bits depend neither on the number of threads nor on the rows that stand beside a row.
/// </summary>
internal static unsafe class Gemm
{
    // Below this many multiply-adds (some ten microseconds) another thread costs more than it brings.
    private const long InlineProducts = 256 << 10;

    // A chunk is no smaller than this: drawing one costs about a tenth of a microsecond.
    private const long ChunkProducts = 64 << 10;

    // Chunks for each thread: so many that a thread which is held up for a while leaves little to wait for.
    private const int ChunksPerThread = 8;

    // Reduction rows prepared at a time by products that pack both operands.
    private const int PackedTerms = 2048;

    // Up to this many terms a matrix B with contiguous rows is read where it lies: packing would cost more than it saves.
    private const int UnpackedTerms = 96;

    /// <summary>Y = epilogue(X B) with packed B: X W^T or dY W.</summary>
    /// <param name="pool">Threads.</param>
    /// <param name="rows">M</param>
    /// <param name="x">(M, B.Inner)</param>
    /// <param name="xStride">Floats from one row of x to the next.</param>
    /// <param name="b">The packed weights.</param>
    /// <param name="y">(M, B.Columns); must not overlap x</param>
    /// <param name="yStride">Floats from one row of y to the next.</param>
    /// <param name="epilogue">Bias, activation, residual, accumulation.</param>
    internal static void Multiply(
        CpuThreadPool pool, int rows, float* x, nint xStride, PackedMatrix b, float* y, nint yStride, in GemmEpilogue epilogue)
    {
        ObjectDisposedException.ThrowIf(b.Data is null, b);
        var work = new GemmWork
        {
            Rows = rows,
            Columns = b.Columns,
            Inner = b.Inner,
            A = x,
            AStride = xStride,
            B = b.Data,
            BStride = b.PanelWidth,
            PanelStep = (nint)b.PanelBytes,
            PanelWidth = b.PanelWidth,
            Y = y,
            YStride = yStride,
            Epilogue = epilogue,
        };
        Run(pool, ref work, b.Kind, b.Storage, b.IsFinite);
        GC.KeepAlive(b);
    }

    /// <summary>C (+)= A B with operands of any strides: a transposed matrix is one whose strides are exchanged.</summary>
    /// <param name="pool">Threads.</param>
    /// <param name="a">(M, K)</param>
    /// <param name="b">(K, N)</param>
    /// <param name="c">(M, N), row by row; must not overlap a or b</param>
    /// <param name="cStride">Floats from one row of c to the next.</param>
    /// <param name="accumulate">Adds to c instead of writing it.</param>
    /// <param name="kind">Kernel; null for the machine's best.</param>
    /// <exception cref="ArgumentException">Inner sizes differ.</exception>
    internal static void Multiply(
        CpuThreadPool pool, in GemmOperand a, in GemmOperand b, float* c, nint cStride, bool accumulate, CpuKernelKind? kind = null)
    {
        if (a.Columns != b.Rows)
        {
            throw new ArgumentException($"A has {a.Columns} columns and B has {b.Rows} rows.", nameof(b));
        }

        CpuKernelKind best = kind ?? CpuKernelKinds.Best;
        int width = best.PanelWidth();
        int panels = (b.Columns + width - 1) / width;
        bool packA = a.ColumnStride != 1;
        bool packB = b.ColumnStride != 1 || a.Columns > UnpackedTerms;
        int first = 0;
        do
        {
            int terms = packA || packB ? Math.Min(PackedTerms, a.Columns - first) : a.Columns;
            float* aData = a.Data + (first * a.ColumnStride);
            float* bData = b.Data + (first * b.RowStride);
            nint aStride = a.RowStride;
            long aCount = packA ? ((long)a.Rows * terms) + 16 : 0;
            float* scratch = GemmScratch.Operands(aCount + (packB ? (long)panels * width * terms : 0));
            if (packA)
            {
                GemmPacking.PackRows(pool, scratch, aData, a.RowStride, a.ColumnStride, a.Rows, terms);
                aData = scratch;
                aStride = terms;
            }

            if (packB)
            {
                // Panels start on a cache line.
                float* packed = scratch + ((aCount + 15) & ~15L);
                GemmPacking.PackPanels(pool, packed, bData, b.ColumnStride, b.RowStride, b.Columns, terms, width);
                bData = packed;
            }

            var work = new GemmWork
            {
                Rows = a.Rows,
                Columns = b.Columns,
                Inner = terms,
                A = aData,
                AStride = aStride,
                B = (byte*)bData,
                BStride = packB ? width : b.RowStride,
                PanelStep = (packB ? (nint)terms * width : width) * sizeof(float),
                PanelWidth = width,
                IsUnpacked = !packB,
                Y = c,
                YStride = cStride,
                Epilogue = new GemmEpilogue { Accumulate = accumulate || first > 0 },
            };
            Run(pool, ref work, best, ElementType.F32, isFinite: true);
            first += terms;
        }
        while (first < a.Columns);
    }

    /// <summary>dW (N, K) += dY (M, N)^T X (M, K): the gradient of a linear layer's weight.</summary>
    /// <param name="pool">Threads.</param>
    /// <param name="m">M, the rows that are summed over.</param>
    /// <param name="n">N, outputs.</param>
    /// <param name="k">K, inputs.</param>
    /// <param name="dy">(M, N)</param>
    /// <param name="dyStride">Floats from one row of dy to the next.</param>
    /// <param name="x">(M, K)</param>
    /// <param name="xStride">Floats from one row of x to the next.</param>
    /// <param name="dw">(N, K)</param>
    /// <param name="dwStride">Floats from one row of dw to the next.</param>
    /// <param name="kind">Kernel; null for the machine's best.</param>
    internal static void AccumulateOuter(
        CpuThreadPool pool,
        int m,
        int n,
        int k,
        float* dy,
        nint dyStride,
        float* x,
        nint xStride,
        float* dw,
        nint dwStride,
        CpuKernelKind? kind = null) =>
        Multiply(
            pool,
            new GemmOperand(dy, m, n, dyStride, 1).Transposed,
            new GemmOperand(x, m, k, xStride, 1),
            dw,
            dwStride,
            accumulate: true,
            kind);

    private static void Run(CpuThreadPool pool, ref GemmWork work, CpuKernelKind kind, ElementType storage, bool isFinite)
    {
        if (work.Rows <= 0 || work.Columns <= 0)
        {
            return;
        }

        int panels = (work.Columns + work.PanelWidth - 1) / work.PanelWidth;
        int tiles = (work.Rows + GemmTile.MaxRows - 1) / GemmTile.MaxRows;
        work.RowBlocks = (tiles + GemmWork.TilesPerBlock - 1) / GemmWork.TilesPerBlock;

        // Below four rows the time goes into reading B, which takes about as long as four rows' arithmetic.
        long products = Math.Max(work.Rows, 4L) * panels * work.PanelWidth * Math.Max(work.Inner, 1);
        long chunks = products < InlineProducts || pool.Threads == 1
            ? 1
            : Math.Min((long)pool.Threads * ChunksPerThread, products / ChunkProducts);
        int panelChunks = (int)Math.Clamp((chunks + work.RowBlocks - 1) / work.RowBlocks, 1, panels);
        work.PanelsPerChunk = (panels + panelChunks - 1) / panelChunks;
        panelChunks = (panels + work.PanelsPerChunk - 1) / work.PanelsPerChunk;
        delegate*<void*, int, void> body = Body(kind, storage, isFinite);
        fixed (GemmWork* context = &work)
        {
            pool.Run(body, context, panelChunks * work.RowBlocks);
        }
    }

    private static delegate*<void*, int, void> Body(CpuKernelKind kind, ElementType storage, bool isFinite) => kind switch
    {
        CpuKernelKind.Avx512 => Body<Simd512, Vector512<float>>(storage, isFinite),
        CpuKernelKind.Avx2 => Body<Simd256, Vector256<float>>(storage, isFinite),
        _ => Body<SimdAny, Vector<float>>(storage, isFinite),
    };

    private static delegate*<void*, int, void> Body<TSimd, TVector>(ElementType storage, bool isFinite)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct => storage switch
        {
            ElementType.F32 => &GemmWork.Compute<TSimd, TVector, Float32Element>,
            ElementType.BF16 => &GemmWork.Compute<TSimd, TVector, BFloat16Element>,
            _ when isFinite => &GemmWork.Compute<TSimd, TVector, FiniteFloat16Element>,
            _ => &GemmWork.Compute<TSimd, TVector, Float16Element>,
        };
}

/// <summary>A matrix of floats with any strides.</summary>
internal readonly unsafe struct GemmOperand
{
    /// <summary>Describes a matrix.</summary>
    /// <param name="data">Its first element.</param>
    /// <param name="rows">Rows.</param>
    /// <param name="columns">Columns.</param>
    /// <param name="rowStride">Floats from one row to the next.</param>
    /// <param name="columnStride">Floats from one column to the next.</param>
    internal GemmOperand(float* data, int rows, int columns, nint rowStride, nint columnStride)
    {
        Data = data;
        Rows = rows;
        Columns = columns;
        RowStride = rowStride;
        ColumnStride = columnStride;
    }

    /// <summary>The first element.</summary>
    internal float* Data { get; }

    /// <summary>Rows.</summary>
    internal int Rows { get; }

    /// <summary>Columns.</summary>
    internal int Columns { get; }

    /// <summary>Floats from one row to the next.</summary>
    internal nint RowStride { get; }

    /// <summary>Floats from one column to the next.</summary>
    internal nint ColumnStride { get; }

    /// <summary>The matrix with rows and columns exchanged; no element moves.</summary>
    internal GemmOperand Transposed => new(Data, Columns, Rows, ColumnStride, RowStride);
}
