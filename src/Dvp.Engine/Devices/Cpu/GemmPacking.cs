using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cpu;

/// <summary>Copies matrices into the orders that the tiles read: panels of B, rows of a transposed A.</summary>
internal static unsafe class GemmPacking
{
    // Elements of a row handled before the next row: one line of the cache of each of the panel's rows at a time.
    private const int Block = 16;

    /// <summary>Copies one element and converts it on the way.</summary>
    private interface ICopy
    {
        static abstract int SourceSize { get; }

        static abstract int DestinationSize { get; }

        static abstract void Copy(byte* destination, byte* source);
    }

    /// <summary>Reads and writes one element as a float.</summary>
    private interface IScalar
    {
        static abstract int Size { get; }

        static abstract float Read(byte* source);

        static abstract void Write(byte* destination, float value);
    }

    private struct Work
    {
        public byte* Destination;
        public byte* Source;
        public nint ColumnStep;
        public nint TermStep;
        public int Columns;
        public int Terms;
        public int PanelWidth;
        public int TermsPerChunk;
        public int ChunksPerPanel;
    }

    // A piece of a panel of floats.
    private readonly ref struct Chunk
    {
        internal readonly int FirstColumn;
        internal readonly int Columns;
        internal readonly int FirstTerm;
        internal readonly int Terms;
        internal readonly float* Destination;

        internal Chunk(in Work work, int number)
        {
            int panel = number / work.ChunksPerPanel;
            FirstColumn = panel * work.PanelWidth;
            Columns = Math.Min(work.PanelWidth, work.Columns - FirstColumn);
            FirstTerm = (number - (panel * work.ChunksPerPanel)) * work.TermsPerChunk;
            Terms = Math.Min(work.TermsPerChunk, work.Terms - FirstTerm);
            Destination = (float*)work.Destination + ((((long)panel * work.Terms) + FirstTerm) * work.PanelWidth);
        }
    }

    /// <summary>Fills the panels of <paramref name="matrix"/>; see <see cref="PackedMatrix.Pack"/>.</summary>
    internal static void Pack(CpuThreadPool pool, PackedMatrix matrix, void* weight, ElementType type, nint stride)
    {
        bool forward = matrix.Use == PackedUse.Forward;
        delegate*<void*, int, void> body = (type, matrix.Storage) switch
        {
            (ElementType.F32, ElementType.F32) => forward ? &TransposeChunk : &CopyChunk,
            (ElementType.BF16, ElementType.BF16) or (ElementType.F16, ElementType.F16) => &PackChunk<Copy16>,
            (ElementType.BF16, ElementType.F32) => &PackChunk<Convert<BFloat16Scalar, SingleScalar>>,
            (ElementType.F16, ElementType.F32) => &PackChunk<Convert<HalfScalar, SingleScalar>>,
            (ElementType.F32, ElementType.BF16) => &PackChunk<Convert<SingleScalar, BFloat16Scalar>>,
            (ElementType.F16, ElementType.BF16) => &PackChunk<Convert<HalfScalar, BFloat16Scalar>>,
            (ElementType.F32, ElementType.F16) => &PackChunk<Convert<SingleScalar, HalfScalar>>,
            (ElementType.BF16, ElementType.F16) => &PackChunk<Convert<BFloat16Scalar, HalfScalar>>,
            _ => throw new ArgumentOutOfRangeException(nameof(type), type, "Weights to pack are F32, BF16 or F16."),
        };
        RunPacking(
            pool, body, matrix.Data, (byte*)weight, forward ? stride : 1, forward ? 1 : stride,
            matrix.Columns, matrix.Inner, matrix.PanelWidth);
    }

    /// <summary>Packs B (terms, columns) of any strides into panels of floats.</summary>
    internal static void PackPanels(
        CpuThreadPool pool, float* destination, float* source, nint columnStep, nint termStep, int columns, int terms, int panelWidth) =>
        RunPacking(
            pool, columnStep == 1 ? &CopyChunk : termStep == 1 ? &TransposeChunk : &PackChunk<Copy32>,
            (byte*)destination, (byte*)source, columnStep, termStep, columns, terms, panelWidth);

    /// <summary>destination (rows, terms), contiguous = source of any strides: A in the order in which tiles read it.</summary>
    internal static void PackRows(CpuThreadPool pool, float* destination, float* source, nint rowStep, nint termStep, int rows, int terms)
    {
        // Rows of A are the terms of a single panel that is as wide as A has terms.
        var work = new Work
        {
            Destination = (byte*)destination,
            Source = (byte*)source,
            ColumnStep = termStep,
            TermStep = rowStep,
            Columns = terms,
            Terms = rows,
            PanelWidth = terms,
            TermsPerChunk = Block,
            ChunksPerPanel = (rows + Block - 1) / Block,
        };
        pool.Run(&RowsChunk, &work, work.ChunksPerPanel);
    }

    private static void RunPacking(
        CpuThreadPool pool, delegate*<void*, int, void> body, byte* destination, byte* source, nint columnStep, nint termStep,
        int columns, int terms, int panelWidth)
    {
        int panels = (columns + panelWidth - 1) / panelWidth;

        // Chunks of about 16 K elements: some ten microseconds.
        int termsPerChunk = Math.Max(Block, 16384 / panelWidth);
        int chunksPerPanel = (terms + termsPerChunk - 1) / termsPerChunk;
        var work = new Work
        {
            Destination = destination,
            Source = source,
            ColumnStep = columnStep,
            TermStep = termStep,
            Columns = columns,
            Terms = terms,
            PanelWidth = panelWidth,
            TermsPerChunk = termsPerChunk,
            ChunksPerPanel = chunksPerPanel,
        };
        pool.Run(body, &work, panels * chunksPerPanel);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void PackChunk<TCopy>(void* context, int chunk)
        where TCopy : struct, ICopy
    {
        var work = (Work*)context;
        int panel = chunk / work->ChunksPerPanel;
        int first = (chunk - (panel * work->ChunksPerPanel)) * work->TermsPerChunk;
        int end = Math.Min(first + work->TermsPerChunk, work->Terms);
        int width = work->PanelWidth;
        int columns = Math.Min(width, work->Columns - (panel * width));
        nint columnStep = work->ColumnStep * TCopy.SourceSize;
        nint termStep = work->TermStep * TCopy.SourceSize;
        byte* source = work->Source + (panel * width * columnStep);
        byte* destination = work->Destination + (((long)panel * work->Terms) * width * TCopy.DestinationSize);
        for (int block = first; block < end; block += Block)
        {
            int blockEnd = Math.Min(block + Block, end);
            for (int k = block; k < blockEnd; k++)
            {
                byte* from = source + (k * termStep);
                byte* to = destination + ((long)k * width * TCopy.DestinationSize);
                for (int j = 0; j < columns; j++)
                {
                    TCopy.Copy(to, from);
                    from += columnStep;
                    to += TCopy.DestinationSize;
                }

                new Span<byte>(to, (width - columns) * TCopy.DestinationSize).Clear();
            }
        }
    }

    // Panels of floats from a matrix whose terms are contiguous: W for X W^T.
    private static void TransposeChunk(void* context, int number)
    {
        var work = (Work*)context;
        Chunk chunk = new(in *work, number);
        float* source = (float*)work->Source + (chunk.FirstColumn * work->ColumnStep) + chunk.FirstTerm;
        MatrixTranspose.Copy(chunk.Destination, work->PanelWidth, source, work->ColumnStep, chunk.Terms, chunk.Columns);
        for (int k = 0; k < chunk.Terms; k++)
        {
            new Span<float>(chunk.Destination + ((long)k * work->PanelWidth) + chunk.Columns, work->PanelWidth - chunk.Columns).Clear();
        }
    }

    // Panels of floats from a matrix whose columns are contiguous: W for dY W.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void CopyChunk(void* context, int number)
    {
        var work = (Work*)context;
        Chunk chunk = new(in *work, number);
        float* from = (float*)work->Source + chunk.FirstColumn + (chunk.FirstTerm * work->TermStep);
        float* to = chunk.Destination;
        int width = work->PanelWidth;
        int vectors = chunk.Columns & ~7;
        for (int k = 0; k < chunk.Terms; k++)
        {
            for (int j = 0; j < vectors; j += 8)
            {
                Vector256.Load(from + j).Store(to + j);
            }

            for (int j = vectors; j < width; j++)
            {
                to[j] = j < chunk.Columns ? from[j] : 0;
            }

            from += work->TermStep;
            to += width;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void RowsChunk(void* context, int chunk)
    {
        var work = (Work*)context;
        int first = chunk * work->TermsPerChunk;
        int end = Math.Min(first + work->TermsPerChunk, work->Terms);
        int terms = work->Columns;
        float* to = (float*)work->Destination + ((long)first * terms);
        float* from = (float*)work->Source + (first * work->TermStep);
        if (work->TermStep == 1)
        {
            MatrixTranspose.Copy(to, terms, from, work->ColumnStep, end - first, terms);
            return;
        }

        for (int row = first; row < end; row++)
        {
            for (int k = 0; k < terms; k++)
            {
                to[k] = from[k * work->ColumnStep];
            }

            to += terms;
            from += work->TermStep;
        }
    }

    private readonly struct Copy32 : ICopy
    {
        public static int SourceSize => sizeof(uint);

        public static int DestinationSize => sizeof(uint);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Copy(byte* destination, byte* source) => *(uint*)destination = *(uint*)source;
    }

    private readonly struct Copy16 : ICopy
    {
        public static int SourceSize => sizeof(ushort);

        public static int DestinationSize => sizeof(ushort);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Copy(byte* destination, byte* source) => *(ushort*)destination = *(ushort*)source;
    }

    private readonly struct Convert<TSource, TDestination> : ICopy
        where TSource : struct, IScalar
        where TDestination : struct, IScalar
    {
        public static int SourceSize => TSource.Size;

        public static int DestinationSize => TDestination.Size;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Copy(byte* destination, byte* source) => TDestination.Write(destination, TSource.Read(source));
    }

    private readonly struct SingleScalar : IScalar
    {
        public static int Size => sizeof(float);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static float Read(byte* source) => *(float*)source;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Write(byte* destination, float value) => *(float*)destination = value;
    }

    private readonly struct BFloat16Scalar : IScalar
    {
        public static int Size => sizeof(ushort);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static float Read(byte* source) => BitConverter.UInt32BitsToSingle((uint)*(ushort*)source << 16);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Write(byte* destination, float value)
        {
            // Round to nearest even by adding half of the last kept bit; a NaN would carry over into a number, so it is made quiet instead.
            uint bits = BitConverter.SingleToUInt32Bits(value);
            uint rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
            *(ushort*)destination = (ushort)(float.IsNaN(value) ? (bits >> 16) | 0x40 : rounded);
        }
    }

    private readonly struct HalfScalar : IScalar
    {
        public static int Size => sizeof(ushort);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static float Read(byte* source) => (float)*(Half*)source;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static void Write(byte* destination, float value) => *(Half*)destination = (Half)value;
    }
}
