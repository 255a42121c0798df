using System.Runtime.CompilerServices;

namespace Dvp.Engine.Devices.Cpu;

/// <summary>A matrix product cut into chunks, and what computes a chunk: a block of rows by a range of panels.</summary>
/// <remarks>
/// A chunk goes through its panels in groups, and a group through the terms of the sums in blocks of <see cref="TermsPerBlock"/>: a block
/// of a panel stays in the first-level cache while all tiles of rows read it. Sums between blocks of terms lie in scratch memory.
/// </remarks>
internal unsafe struct GemmWork
{
    /// <summary>Tiles of six rows in a block of rows: its part of A for one block of terms fits a second-level cache.</summary>
    internal const int TilesPerBlock = 16;

    /// <summary>Terms of a sum that are computed at once.</summary>
    internal const int TermsPerBlock = 256;

    // Panels whose sums are kept between blocks of terms where A does not fit the second-level cache.
    private const int PanelsPerGroup = 8;

    // Bytes of A that a second-level cache holds next to what else passes through it.
    private const long CachedBytes = 192 << 10;

    /// <summary>M</summary>
    public int Rows;

    /// <summary>N</summary>
    public int Columns;

    /// <summary>K</summary>
    public int Inner;

    /// <summary>(M, K), rows contiguous.</summary>
    public float* A;

    /// <summary>Floats from one row of A to the next.</summary>
    public nint AStride;

    /// <summary>Panels of elements, or rows of floats.</summary>
    public byte* B;

    /// <summary>Elements from one row of a panel to the next.</summary>
    public nint BStride;

    /// <summary>Bytes from one panel to the next.</summary>
    public nint PanelStep;

    /// <summary>Columns of a panel.</summary>
    public int PanelWidth;

    /// <summary>B is a matrix of contiguous rows: the last panel may be cut off and is then copied.</summary>
    public bool IsUnpacked;

    /// <summary>(M, N)</summary>
    public float* Y;

    /// <summary>Floats from one row of Y to the next.</summary>
    public nint YStride;

    /// <summary>What is done with the sums.</summary>
    public GemmEpilogue Epilogue;

    /// <summary>Number of blocks of rows.</summary>
    public int RowBlocks;

    /// <summary>Panels of a chunk.</summary>
    public int PanelsPerChunk;

    // A chunk's rows and scratch memory.
    private struct Chunk
    {
        public int FirstRow;
        public int Rows;
        public float* Sums;
        public float* Panel;
        public float* Start;
        public int Blocks;
    }

    // Whether the sums need nothing but the bias and go straight to Y: not where a panel is wider than what is left of Y.
    private readonly bool IsPlain =>
        Epilogue.Activation == Activation.None && Epilogue.PreActivation is null && Epilogue.Residual is null &&
        !(Epilogue.Accumulate && Epilogue.Bias is not null);

    /// <summary>Computes a chunk.</summary>
    /// <param name="context">The <see cref="GemmWork"/>.</param>
    /// <param name="number">Number of the chunk.</param>
    internal static void Compute<TSimd, TVector, TElement>(void* context, int number)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
        where TElement : struct, IPanelElement
    {
        var work = (GemmWork*)context;
        work->ComputeChunk<TSimd, TVector, TElement>(number);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void ComputeChunk<TSimd, TVector, TElement>(int number)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
        where TElement : struct, IPanelElement
    {
        int range = number / RowBlocks;
        int rowBlock = number - (range * RowBlocks);
        int panels = (Columns + PanelWidth - 1) / PanelWidth;
        int firstPanel = range * PanelsPerChunk;
        int endPanel = Math.Min(firstPanel + PanelsPerChunk, panels);

        // Blocks of rows of equal size to within a tile.
        int tiles = (Rows + GemmTile.MaxRows - 1) / GemmTile.MaxRows;
        Chunk chunk = default;
        chunk.FirstRow = (int)((long)tiles * rowBlock / RowBlocks) * GemmTile.MaxRows;
        chunk.Rows = Math.Min((int)((long)tiles * (rowBlock + 1) / RowBlocks) * GemmTile.MaxRows, Rows) - chunk.FirstRow;
        chunk.Blocks = Math.Max(1, (Inner + TermsPerBlock - 1) / TermsPerBlock);
        int group = chunk.Blocks > 1 && (long)chunk.Rows * Inner * sizeof(float) > CachedBytes ? PanelsPerGroup : 1;

        long sums = (long)group * chunk.Rows * PanelWidth;
        float* scratch = GemmScratch.Blocks(sums + ((TermsPerBlock + 1L) * PanelWidth));
        chunk.Sums = scratch;
        chunk.Start = scratch + sums;
        chunk.Panel = chunk.Start + PanelWidth;
        for (int panel = firstPanel; panel < endPanel; panel += group)
        {
            int end = Math.Min(panel + group, endPanel);
            for (int block = 0; block < chunk.Blocks; block++)
            {
                chunk.Sums = scratch;
                for (int p = panel; p < end; p++)
                {
                    ComputeBlock<TSimd, TVector, TElement>(in chunk, p, block);
                    chunk.Sums += (long)chunk.Rows * PanelWidth;
                }
            }

            chunk.Sums = scratch;
            for (int p = panel; p < end; p++)
            {
                Finish<TSimd, TVector>(in chunk, p);
                chunk.Sums += (long)chunk.Rows * PanelWidth;
            }
        }
    }

    // One block of terms of one panel, for all tiles of the chunk's rows.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void ComputeBlock<TSimd, TVector, TElement>(in Chunk chunk, int panel, int block)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
        where TElement : struct, IPanelElement
    {
        int column = panel * PanelWidth;
        int columns = Math.Min(PanelWidth, Columns - column);
        int firstTerm = (int)((long)Inner * block / chunk.Blocks);
        int terms = (int)((long)Inner * (block + 1) / chunk.Blocks) - firstTerm;
        bool direct = IsPlain && columns == PanelWidth;
        byte* b = B + (panel * PanelStep) + (firstTerm * BStride * TElement.Size);
        GemmTileArguments tile = default;
        tile.K = terms;
        tile.BStride = BStride;

        // What the sums start from in the first row of the chunk, and where they go.
        float* y = Y + (chunk.FirstRow * YStride) + column;
        float* initial = chunk.Sums;
        tile.InitialStride = PanelWidth;
        if (block == 0)
        {
            bool adds = direct && Epilogue.Accumulate;
            initial = adds ? y : StartValues(in chunk, column, columns);
            tile.InitialStride = adds ? YStride : 0;
        }

        float* target = direct && block == chunk.Blocks - 1 ? y : chunk.Sums;
        tile.YStride = target == y ? YStride : PanelWidth;

        bool isCut = IsUnpacked && columns < PanelWidth;
        bool widens = TElement.Size != sizeof(float) && chunk.Rows > GemmTile.MaxRows;
        if (isCut)
        {
            CopyCut(chunk.Panel, (float*)b, BStride, terms, columns);
        }
        else if (widens)
        {
            Widen<TSimd, TVector, TElement>(chunk.Panel, b, terms * PanelWidth);
        }

        if (isCut || widens)
        {
            b = (byte*)chunk.Panel;
            tile.BStride = PanelWidth;
        }

        // Two vectors at a time, which is the whole panel unless vectors are narrower than eight floats.
        for (int strip = 0; strip < PanelWidth; strip += 2 * TSimd.Count)
        {
            tile.B = b + (strip * (isCut || widens ? sizeof(float) : TElement.Size));
            for (int row = 0; row < chunk.Rows; row += GemmTile.MaxRows)
            {
                tile.A = A + ((chunk.FirstRow + row) * AStride) + firstTerm;
                tile.AStride = AStride;
                tile.Rows = Math.Min(GemmTile.MaxRows, chunk.Rows - row);
                tile.Initial = initial + (row * tile.InitialStride) + strip;
                tile.Y = target + (row * tile.YStride) + strip;
                if (isCut || widens)
                {
                    GemmTile.Compute<TSimd, TVector, Float32Element>(in tile);
                }
                else
                {
                    GemmTile.Compute<TSimd, TVector, TElement>(in tile);
                }
            }
        }
    }

    private readonly float* StartValues(in Chunk chunk, int column, int columns)
    {
        if (Epilogue.Bias is not null && columns == PanelWidth)
        {
            return Epilogue.Bias + column;
        }

        for (int j = 0; j < PanelWidth; j++)
        {
            chunk.Start[j] = Epilogue.Bias is not null && j < columns ? Epilogue.Bias[column + j] : 0;
        }

        return chunk.Start;
    }

    private readonly void CopyCut(float* panel, float* b, nint stride, int terms, int columns)
    {
        for (int k = 0; k < terms; k++)
        {
            for (int j = 0; j < PanelWidth; j++)
            {
                panel[j] = j < columns ? b[j] : 0;
            }

            panel += PanelWidth;
            b += stride;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Widen<TSimd, TVector, TElement>(float* destination, byte* source, int count)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
        where TElement : struct, IPanelElement
    {
        for (int i = 0; i < count; i += 2 * TSimd.Count)
        {
            TVector first = TElement.Load<TSimd, TVector>(source + ((long)i * TElement.Size));
            TVector second = TElement.Load<TSimd, TVector>(source + ((long)(i + TSimd.Count) * TElement.Size));
            TSimd.Store(first, destination + i);
            TSimd.Store(second, destination + i + TSimd.Count);
        }
    }

    private readonly void Finish<TSimd, TVector>(in Chunk chunk, int panel)
        where TSimd : struct, ISimd<TVector>
        where TVector : struct
    {
        int column = panel * PanelWidth;
        int columns = Math.Min(PanelWidth, Columns - column);
        if (IsPlain && columns == PanelWidth)
        {
            return;
        }

        GemmEpilogueBlock block = default;
        block.Sums = chunk.Sums;
        block.Width = PanelWidth;
        block.Rows = chunk.Rows;
        block.Columns = columns;
        block.PreActivationStride = Epilogue.PreActivationStride;
        if (Epilogue.PreActivation is not null)
        {
            block.PreActivation = Epilogue.PreActivation + (chunk.FirstRow * Epilogue.PreActivationStride) + column;
        }

        block.ResidualStride = Epilogue.ResidualStride;
        if (Epilogue.Residual is not null)
        {
            block.Residual = Epilogue.Residual + (chunk.FirstRow * Epilogue.ResidualStride) + column;
        }

        block.Y = Y + (chunk.FirstRow * YStride) + column;
        block.YStride = YStride;
        block.Accumulate = Epilogue.Accumulate;
        block.Apply<TSimd, TVector>(Epilogue.Activation);
    }
}
