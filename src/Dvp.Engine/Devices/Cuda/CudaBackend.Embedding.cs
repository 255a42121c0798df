using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

// kernels/embedding.cu
public sealed partial class CudaBackend
{
    private const int EmbeddingThreads = 128;

    /// <inheritdoc/>
    public override void EmbeddingForward(
        Tensor y, Tensor ids, ParameterBlock words, ParameterBlock? positions, ParameterBlock? types, Tensor? typeIds)
    {
        const string Operation = nameof(EmbeddingForward);
        ElementType real = RowsType(y, Operation);
        CheckEmbedding(Operation, y, ids, words.Value, positions?.Value, types?.Value, typeIds);

        // Tables that train are read as they are; only where some train and some are frozen do the former need the common type.
        bool masters = words.Value.Type == ElementType.F32
            && positions is not { Value.Type: not ElementType.F32 } && types is not { Value.Type: not ElementType.F32 };
        Tensor word = masters ? words.Value : Form(words);
        Tensor? position = positions is null ? null : masters ? positions.Value : Form(positions);
        Tensor? type = types is null ? null : masters ? types.Value : Form(types);
        RowPlan plan = Rows(y.Rows, y.Columns, Wide(y, word, position, type));
        Kernel("embedding_forward", "embedding", real, masters && real != ElementType.F32 ? "table=f32" : "").Launch(
            plan.Grid, plan.Block, sharedBytes: 0,
            y, ids, typeIds, word, position, type, ids.Columns, y.Columns, word.Rows, type?.Rows ?? 0, y.RowStride, plan.Wide);
    }

    /// <inheritdoc/>
    public override void EmbeddingBackward(
        Tensor? dwords, Tensor? dpositions, Tensor? dtypes, Tensor dy, Tensor ids, Tensor? typeIds, int paddingIndex)
    {
        const string Operation = nameof(EmbeddingBackward);
        ElementType real = RowsType(dy, Operation);
        CheckEmbedding(Operation, dy, ids, dwords, dpositions, dtypes, typeIds);
        (int rows, int tokens, int channels) = (dy.Rows, ids.Columns, dy.Columns);
        if (dwords is not null)
        {
            Kernel("embedding_backward_words", "embedding", real).Launch(
                grid: (rows, DivideUp(channels, EmbeddingThreads)), block: EmbeddingThreads, sharedBytes: 0,
                dwords, dy, ids, rows, channels, dwords.Rows, paddingIndex, dy.RowStride);
        }

        if (dpositions is not null)
        {
            Kernel("embedding_backward_positions", "embedding", real).Launch(
                grid: (DivideUp(channels, EmbeddingThreads), tokens), block: EmbeddingThreads, sharedBytes: 0,
                dpositions, dy, tokens == 0 ? 0 : rows / tokens, tokens, channels, dy.RowStride);
        }

        if (dtypes is not null)
        {
            Kernel("embedding_backward_types", "embedding", real).Launch(
                grid: (DivideUp(channels, Warp), dtypes.Rows), block: (Warp, Warp), sharedBytes: 0,
                dtypes, dy, typeIds, rows, channels, dy.RowStride);
        }
    }

    /// <summary>Type of the rows that are looked up: activations, or those of a residual stream (spread from texts over examples).</summary>
    private ElementType RowsType(Tensor rows, string operation)
    {
        if (rows.Type != StreamType)
        {
            RequireType(rows, _real, operation);
        }

        return rows.Type;
    }

    private static void CheckEmbedding(
        string operation, Tensor y, Tensor ids, Tensor? words, Tensor? positions, Tensor? types, Tensor? typeIds)
    {
        CudaShapes.RequireFlat(ids, ElementType.I32, y.Rows, operation);
        if (typeIds is not null)
        {
            CudaShapes.RequireFlat(typeIds, ElementType.I32, y.Rows, operation);
        }

        CudaShapes.Require(words is null || (words.Columns == y.Columns && words.IsContiguous), operation, y, words);
        CudaShapes.Require(types is null || (types.Columns == y.Columns && types.IsContiguous), operation, y, types);
        CudaShapes.Require(
            positions is null || (positions.Columns == y.Columns && positions.IsContiguous && positions.Rows >= ids.Columns),
            operation, y, positions);
    }
}
