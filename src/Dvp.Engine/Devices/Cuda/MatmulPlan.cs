using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

/// <summary>How one matrix product is made: by which kernel file, with which tile, its sum split over how many blocks.</summary>
/// <param name="File">The .cu file: matvec, matmul_simt or matmul_mma.</param>
/// <param name="TileM">Rows of the result that a block makes; 0 for matvec.</param>
/// <param name="TileN">Columns of the result that a block makes; 0 for matvec.</param>
/// <param name="Splits">Blocks that share the sum of one tile.</param>
/// <param name="DepthPerSplit">Terms of the sum that each of them takes, the last perhaps fewer.</param>
internal readonly record struct MatmulPlan(string File, int TileM, int TileN, int Splits, int DepthPerSplit)
{
    /// <summary>Up to so many rows a product is the reading of its weight, and matvec does it.</summary>
    public const int MatvecRows = 8;

    /// <summary>Terms that the kernels take at a time: the sum is split at multiples of it.</summary>
    public const int Depth = 32;

    /// <summary>The most bytes of parts that a split sum may write.</summary>
    private const long MostPartBytes = 64L << 20;

    private const int MostSplits = 16;

    /// <summary>Terms below which a split is not worth its start: four turns of the pipeline.</summary>
    private const int LeastDepth = 4 * Depth;

    /// <summary>Warps below which a multiprocessor waits for its own instructions: two for each of its four schedulers.</summary>
    private const int BusyWarps = 8;

    // The tiles of each file. The cost of a multiplication is in units of one in the largest tile. A larger tile reads fewer bytes from shared
    // and global memory for each: a warp of 64 x 32 reads 96 values for 2048 multiplications, one of 32 x 32 64 for 1024; a block of
    // 128 x 128 fetches 256 for 16384, of 128 x 64 192 for 8192, of 64 x 64 128 for 4096. The factors are these ratios, weighted by the
    // part of the time that such traffic can take; they are reasoned, not measured.
    private static readonly Tile[] s_mma = [new(128, 128, 8, 1.0), new(128, 64, 4, 1.1), new(64, 64, 4, 1.35)];
    private static readonly Tile[] s_simt = [new(128, 128, 8, 1.0), new(64, 64, 8, 1.3)];

    /// <summary>Bytes that the second half of a split sum needs.</summary>
    public long PartBytes(int rows, int columns) => Splits > 1 ? (long)Splits * rows * columns * sizeof(float) : 0;

    /// <summary>The options of the variant: its tile.</summary>
    public string Options => (File, TileM, TileN) switch
    {
        ("matvec", _, _) => "",
        ("matmul_simt", 128, 128) => "tile=128",
        ("matmul_simt", 64, 64) => "tile=64",
        ("matmul_mma", 128, 128) => "tile_m=128 tile_n=128",
        ("matmul_mma", 128, 64) => "tile_m=128 tile_n=64",
        ("matmul_mma", 64, 64) => "tile_m=64 tile_n=64",
        _ => throw new InvalidOperationException($"{File} has no variant for {this}."),
    };

    /// <summary>The plan for (rows, depth) times (depth, columns).</summary>
    /// <remarks>
    /// The time of a product is that of the multiprocessor with the most blocks: ceil(blocks / multiprocessors) of them, each as long as its
    /// sum and the filling of its pipeline. Large tiles cost less for each multiplication and leave more of a small grid idle; splitting the
    /// sum fills the grid again, for the price of writing the parts and one more launch that reads them. The plan is what is least.
    /// </remarks>
    /// <param name="real">Storage type.</param>
    /// <param name="matvec">Whether a matvec kernel exists for the form of the product (not for gradients of weights).</param>
    /// <param name="rows">Rows of the result.</param>
    /// <param name="columns">Columns of the result.</param>
    /// <param name="depth">Terms of each sum.</param>
    /// <param name="multiprocessors">Of the device.</param>
    public static MatmulPlan Choose(ElementType real, bool matvec, int rows, int columns, int depth, int multiprocessors)
    {
        if (matvec && rows <= MatvecRows)
        {
            return new MatmulPlan("matvec", 0, 0, 1, depth);
        }

        bool exact = real == ElementType.F32;
        MatmulPlan best = default;
        double least = double.PositiveInfinity;
        foreach (Tile tile in exact ? s_simt : s_mma)
        {
            for (int wanted = 1; wanted <= MostSplits; wanted++)
            {
                MatmulPlan plan = Of(real, tile.M, tile.N, wanted, depth);
                if (plan.Splits != wanted || (wanted > 1 && !plan.IsWorthSplitting(rows, columns)))
                {
                    continue;
                }

                double cost = Cost(plan, tile, exact, rows, columns, multiprocessors);
                if (cost < least)
                {
                    (best, least) = (plan, cost);
                }
            }
        }

        return best;
    }

    /// <summary>Every way that the tiled kernels have for a product: each tile, each split of whole turns of the pipeline.</summary>
    public static IEnumerable<ProductWay> Ways(ElementType real, ProductShape s) =>
        from tile in real == ElementType.F32 ? s_simt : s_mma
        from splits in Enumerable.Range(1, MostSplits)
        let plan = Of(real, tile.M, tile.N, splits, s.Depth)
        where plan.Splits == splits && (splits == 1 || plan.IsWorthSplitting(s.Rows, s.Columns))
        select new ProductWay(tile.M, tile.N, splits);

    /// <summary>A product with a given tile whose sum is split into equal parts, of whole turns of the pipeline: as many as wanted, or fewer.</summary>
    public static MatmulPlan Of(ElementType real, int tileM, int tileN, int splits, int depth)
    {
        int turns = Math.Max(1, CudaBackend.DivideUp(depth, Depth));
        int turnsPerSplit = CudaBackend.DivideUp(turns, splits);
        return new MatmulPlan(
            real == ElementType.F32 ? "matmul_simt" : "matmul_mma", tileM, tileN, CudaBackend.DivideUp(turns, turnsPerSplit), turnsPerSplit * Depth);
    }

    private bool IsWorthSplitting(int rows, int columns) => DepthPerSplit >= LeastDepth && PartBytes(rows, columns) <= MostPartBytes;

    // In multiplications of one multiprocessor. On an A100 it makes about 1.4e12 a second on the tensor cores and 9e10 without, and has 1.8e10
    // bytes a second of the memory's rate (other devices have like ratios): so many multiplications are a byte, and so many the 3 us of
    // a launch.
    private static double Cost(MatmulPlan plan, Tile tile, bool exact, int rows, int columns, int multiprocessors)
    {
        (double byteCost, double launchCost) = exact ? (5, 3e5) : (80, 4e6);
        long blocks = (long)CudaBackend.DivideUp(rows, tile.M) * CudaBackend.DivideUp(columns, tile.N) * plan.Splits;
        long most = (blocks + multiprocessors - 1) / multiprocessors;
        double waiting = most * tile.Warps < BusyWarps ? 1.5 : 1;
        double product = most * (plan.DepthPerSplit + (3.0 * Depth)) * tile.M * tile.N * tile.Multiplication * waiting;
        double parts = plan.Splits == 1 ? 0 : launchCost + (2.0 * plan.PartBytes(rows, columns) / multiprocessors * byteCost);
        return product + parts;
    }

    private readonly record struct Tile(int M, int N, int Warps, double Multiplication);
}
