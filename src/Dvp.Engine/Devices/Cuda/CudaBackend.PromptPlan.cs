using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

// How prompt attention is cut into blocks, for the launches in CudaBackend.PromptAttention.cs.
public sealed partial class CudaBackend
{
    /// <summary>Rows (a head of a query) of a block at most: kRows in kernels/prompt_attention.cu and prompt_attention_mma.cu.</summary>
    private const int PromptRows = 16;

    /// <summary>Threads of a block: kThreads there.</summary>
    private const int PromptThreads = 256;

    /// <summary>Tokens of a tile on the tensor cores: kTokens in kernels/prompt_attention_mma.cu.</summary>
    private const int PromptMmaTokens = 16;

    /// <summary>The most channels that the kernels on the tensor cores take.</summary>
    private const int PromptMmaChannels = 1024;

    /// <summary>The most static shared memory of the kernels without tensor cores, which the launch cannot ask for as well.</summary>
    internal const int PromptFixedBytes = 2 << 10;

    /// <summary>Sizes of one prompt attention and how its work is cut into blocks.</summary>
    /// <param name="Batch">B</param>
    /// <param name="Prompts">P</param>
    /// <param name="Heads">H</param>
    /// <param name="HeadSize">D</param>
    /// <param name="Tokens">N</param>
    /// <param name="Channels">V</param>
    /// <param name="TensorCores">Whether prompt_attention_mma.cu does it.</param>
    /// <param name="Rows">Rows of a block: 4, 8, 12 or 16; on the tensor cores any number up to 16.</param>
    /// <param name="Tile">Tokens in shared memory at a time: 4, 8 or 16; on the tensor cores 16, two or three times.</param>
    /// <param name="SplitTokens">Tokens of a block.</param>
    /// <param name="KeepType">Type of explicit dropout factors.</param>
    private readonly record struct PromptPlan(
        int Batch, int Prompts, int Heads, int HeadSize, int Tokens, int Channels, bool TensorCores, int Rows, int Tile, int SplitTokens,
        ElementType KeepType)
    {
        public int AllRows => Prompts * Heads;

        /// <summary>B P: queries of all sequences.</summary>
        public int Queries => Batch * Prompts;

        public int Splits => DivideUp(Tokens, SplitTokens);

        public Extents Grid => (DivideUp(AllRows, Rows), Batch, Splits);

        /// <summary>Elements of u, z and their gradients.</summary>
        public long Elements => (long)Batch * AllRows * Channels;

        /// <summary>The variant of the kernels.</summary>
        public string Options => (TensorCores, Rows) switch
        {
            (true, _) when TileChannels == 256 => "tile_channels=256",
            (true, _) when TileChannels == 768 => "tile_channels=768",
            (true, _) => "tile_channels=1024",
            (_, 4) => "tile_rows=4",
            (_, 8) => "tile_rows=8",
            (_, 12) => "tile_rows=12",
            (_, 16) => "tile_rows=16",
            _ => throw new InvalidOperationException($"prompt_attention.cu has no variant for {Rows} rows."),
        };

        /// <summary>Dynamic shared memory of a block.</summary>
        public int SharedBytes => TensorCores
            ? (TileChannels <= 768 ? 3 : 2) * Tile * TileChannels * sizeof(ushort)
            : sizeof(float) * (((Rows + Tile) * Channels) + (8 / (Tile / 4) * Tile * PromptRows));

        /// <summary>Channels of a token in shared memory, on the tensor cores.</summary>
        private int TileChannels => Channels <= 256 ? 256 : Channels <= 768 ? 768 : PromptMmaChannels;

        public float Scale => 1 / MathF.Sqrt(HeadSize);
    }

    private PromptPlan PlanPrompt(
        string operation, PromptAttentionState saved, Tensor context, Tensor q, Tensor x,
        ParameterBlock keyWeight, ParameterBlock valueWeight, ParameterBlock valueBias, int heads, Dropout? dropout)
    {
        CudaShapes.Require(q.Shape.Length == 3 && x.Shape.Length == 3 && q.Extent(0) == x.Extent(0), operation, q, x);
        CudaShapes.Require(heads > 0 && q.Columns % heads == 0, operation, q);
        CudaShapes.RequireEqual(q, context, operation);
        (Tensor key, Tensor value) = (keyWeight.Value, valueWeight.Value);
        CudaShapes.Require(key.Rows == q.Columns && key.Columns == x.Columns && key.IsContiguous, operation, key, x);
        CudaShapes.RequireEqual(key, value, operation);
        CudaShapes.Require(value.IsContiguous && valueBias.Value.Count == q.Columns, operation, value, valueBias.Value);
        CudaShapes.Require(IsStored(x.Type), operation, x);
        (int batch, int prompts, int tokens, int channels) = (q.Extent(0), q.Extent(1), x.Extent(1), x.Columns);
        long rows = (long)batch * prompts * heads;
        CudaShapes.RequireFlat(saved.Absorbed, ElementType.F32, rows * channels, operation);
        CudaShapes.RequireFlat(saved.Condensed, ElementType.F32, rows * channels, operation);
        CudaShapes.RequireFlat(saved.Probabilities, ElementType.F32, rows * tokens, operation);
        CudaShapes.RequireFlat(saved.ProbabilitySum, ElementType.F32, rows, operation);
        CheckDropout(dropout, rows * tokens, operation);
        ElementType keepType = dropout?.KeepMask?.Type ?? ElementType.F32;

        bool tensorCores = _real != ElementType.F32 && x.Type != ElementType.F32 && channels <= PromptMmaChannels && channels % 8 == 0 && InEights(x) == 1;
        PromptPlan plan = FitPrompt(new PromptPlan(
            batch, prompts, heads, q.Columns / heads, tokens, channels, tensorCores, 0, 0, tokens, keepType));
        CudaShapes.Require(plan.SharedBytes <= BlockSharedBytes - PromptFixedBytes, operation, x);
        int blocks = Math.Max(1, plan.Grid.X * plan.Grid.Y);
        int splits = Math.Clamp(Multiprocessors / blocks, 1, Math.Max(1, DivideUp(tokens, 2 * plan.Tile)));
        return plan with { SplitTokens = Math.Max(plan.Tile, DivideUp(DivideUp(tokens, splits), plan.Tile) * plan.Tile) };
    }

    /// <summary>All rows of a sequence in one block, so that its tokens are read once, and as many tokens at a time as fit beside them.</summary>
    private static PromptPlan FitPrompt(PromptPlan plan)
    {
        int groups = DivideUp(plan.AllRows, PromptRows);
        if (plan.TensorCores)
        {
            return plan with { Rows = DivideUp(plan.AllRows, groups), Tile = PromptMmaTokens };
        }

        for (int rows = Math.Max(4, DivideUp(DivideUp(plan.AllRows, groups), 4) * 4); ; rows -= 4)
        {
            for (int tile = 16; tile >= 4; tile /= 2)
            {
                plan = plan with { Rows = rows, Tile = tile };
                if (plan.SharedBytes <= BlockSharedBytes - PromptFixedBytes || (rows == 4 && tile == 4))
                {
                    return plan;
                }
            }
        }
    }
}
