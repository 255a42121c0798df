using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

// The usual launch of every kernel whose text does not tell it, for the occupancy in kernels/RESOURCES.md. A launcher chooses block and shared
// memory when it runs, so neither the text nor the compiled code has them; here they come from the launchers' own constants and functions.
public sealed partial class CudaBackend
{
    // DVP-BERT-base: 16 questions of 16 tokens and the prompt, 12 heads of 64 channels, pictures of 197 tokens and patches of 16 x 16.
    private const int UsualBatch = 16;
    private const int UsualTokens = 17;
    private const int UsualRows = UsualBatch * UsualTokens;
    private const int UsualChannels = 768;
    private const int UsualHeads = 12;
    private const int UsualHeadSize = 64;
    private const int UsualVisualTokens = 197;
    private const int UsualPatch = 3 * 16 * 16;

    /// <summary>A row that is a block's and no warp's, as LLaMA's are.</summary>
    private const int UsualLongRow = 4096;

    /// <summary>
    /// The launch at the sizes of DVP-BERT-base; null for kernels that are always launched with the block that they declare
    /// (<c>__launch_bounds__</c>) and without dynamic shared memory.
    /// </summary>
    /// <param name="entry">The entry point.</param>
    /// <param name="variant">Its compilation: the tile of an attention depends on its head size.</param>
    internal static KernelLaunchShape? UsualLaunch(string entry, KernelVariant variant) => entry switch
    {
        "adamw_prepare" or "adamw_update" or "global_norm_pieces" or "global_norm_total" => new(OptimizerThreads),
        "softmax_cross_entropy_rows" or "softmax_cross_entropy_total" or "bce_with_logits_rows" or "bce_with_logits_total" => new(ThreadsOfRow),
        "elementwise_fill" or "elementwise_copy" or "elementwise_add" or "dropout_apply" or "activation_forward" or "activation_backward" =>
            new(Rows(1, UsualRows * UsualChannels, wide: true).Block.X),
        "top_k" => new(SampleThreads),

        "embedding_forward" or "gated_forward" or "gated_backward" => new(Rows(UsualRows, UsualChannels, wide: true).Block.X),
        "embedding_backward_words" or "embedding_backward_positions" => new(EmbeddingThreads),
        "embedding_backward_types" => new(Warp * Warp),
        "insert_prompt_forward" or "insert_prompt_backward" or "vision_tokens_forward" => new(RowThreads(UsualChannels)),
        "insert_prompt_backward_types" => new(WarpSize * ParameterSumWarps(UsualRows)),
        "mean_tokens_forward" or "mean_tokens_backward" => new(TokensThreads),
        "extract_patches" => new(RowThreads(UsualPatch)),
        "rotary_turn" => new(RotaryThreads, RotaryBytes(UsualHeadSize)),

        "layernorm_forward_warp_per_row" or "rmsnorm_forward_warp_per_row" => new(Warp * WarpsOfNorm, NormRowsBytes(UsualChannels)),
        "layernorm_forward_block_per_row" or "rmsnorm_forward_block_per_row" => new(ThreadsOfRow, sizeof(float) * NormCached(UsualLongRow)),
        "layernorm_backward_warp_per_row" or "rmsnorm_backward_warp_per_row" => new(Warp * WarpsOfNorm),
        "layernorm_backward_block_per_row" or "rmsnorm_backward_block_per_row" => new(ThreadsOfRow),
        "layernorm_backward_parameters" or "rmsnorm_backward_parameters" => new(Warp * Warp),
        "layernorm_backward_parameters_total" or "rmsnorm_backward_parameters_total" => new(ThreadsOfRow),

        "attention_forward_short" => new(Warp * s_usualAttention.ForwardWarps, s_usualAttention.ShortForwardBytes),
        "attention_backward_short" => new(Warp * s_usualAttention.BackwardWarps, s_usualAttention.ShortBackwardBytes),
        "attention_forward_mma" => new(UsualMma(variant).ForwardThreads, UsualMma(variant).ForwardBytes(UsualMmaTokens(variant))),
        "attention_backward_mma" => new(
            AttentionMmaPlan.BackwardThreads(UsualMmaTokens(variant), UsualMmaTokens(variant)),
            UsualMma(variant).BackwardBytes(UsualMmaTokens(variant), UsualMmaTokens(variant))),
        "attention_forward_tiled" => OfTile(AttentionTile.Forward(HeadSizeOf(variant))),
        "attention_backward_tiled_queries" => OfTile(AttentionTile.BackwardQueries(HeadSizeOf(variant))),
        "attention_backward_tiled_keys" => OfTile(AttentionTile.BackwardKeys(HeadSizeOf(variant))),
        "prompt_attention_forward" or "prompt_attention_backward" or "prompt_attention_forward_mma" or "prompt_attention_backward_mma" =>
            new(PromptThreads, UsualPrompt(variant).SharedBytes),
        _ => null,
    };

    private static readonly AttentionSizes s_usualAttention = new(
        UsualBatch, UsualTokens, UsualTokens, UsualHeads, UsualHeads, UsualHeadSize, Causal: 0, BiasWide: 0, KeepWide: 0, Site: 0, Rate: 0);

    /// <summary>
    /// One prompt token of a model with as many heads as a block of the variant has rows, DVP-BERT-base's 12 where it does not say, and with as
    /// many channels of the picture as it takes.
    /// </summary>
    private static PromptPlan UsualPrompt(KernelVariant variant)
    {
        (int heads, int channels) = variant.Options switch
        {
            "tile_rows=4" => (4, UsualChannels),
            "tile_rows=8" => (8, UsualChannels),
            "tile_rows=12" or "tile_channels=768" => (UsualHeads, UsualChannels),
            "tile_rows=16" => (16, UsualChannels),
            "tile_channels=256" => (UsualHeads, 256),
            "tile_channels=1024" => (UsualHeads, PromptMmaChannels),
            _ => throw new ArgumentException($"{variant} names no number of rows or channels.", nameof(variant)),
        };
        return FitPrompt(new PromptPlan(
            UsualBatch, Prompts: 1, heads, UsualHeadSize, UsualVisualTokens, channels, TensorCores: variant.File == "prompt_attention_mma", Rows: 0,
            Tile: 0, UsualVisualTokens, KeepType: ElementType.F32));
    }

    private static AttentionMmaPlan UsualMma(KernelVariant variant) => variant.Options switch
    {
        "head_size=64 tile=32" => new(64, 32),
        "head_size=64 tile=64" => new(64, 64),
        "head_size=128 tile=32" => new(128, 32),
        "head_size=128 tile=64" => new(128, 64),
        _ => throw new ArgumentException($"{variant} names no head size and tile.", nameof(variant)),
    };

    /// <summary>Questions with their prompt; where the tile holds more, pictures forward and as many tokens as one block takes backward.</summary>
    private static int UsualMmaTokens(KernelVariant variant) =>
        UsualMma(variant).Tile == 32 ? UsualTokens : variant.File == "attention_mma" ? UsualVisualTokens : AttentionShortTokens;

    private static KernelLaunchShape OfTile(AttentionTile tile) => new(Warp * tile.Warps, tile.Bytes);

    /// <summary>The widest head that a variant of an attention kernel takes: head_size=64.</summary>
    private static int HeadSizeOf(KernelVariant variant) => variant.Options switch
    {
        "head_size=64" => 64,
        "head_size=128" => 128,
        "head_size=256" => 256,
        _ => throw new ArgumentException($"{variant} names no head size.", nameof(variant)),
    };
}
