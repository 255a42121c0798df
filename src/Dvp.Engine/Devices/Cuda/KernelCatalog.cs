using Dvp.Engine.Tensors;

namespace Dvp.Engine.Devices.Cuda;

/// <summary>One compilation of a kernel file: the file and what <c>-D</c> defines.</summary>
/// <param name="File">The .cu file, without extension.</param>
/// <param name="Real">Storage type: <c>real</c> in the text.</param>
/// <param name="Options">Further definitions, as <c>stream=f32 head_size=64</c>; empty for none.</param>
internal readonly record struct KernelVariant(string File, ElementType Real, string Options = "");

/// <summary>
/// Every variant of every file that a launcher can ask for: what <c>dvp kernels build</c> precompiles and the compile gate compiles.
/// Asking for one that is not listed is an error, so that nothing is compiled for the first time on a user's machine.
/// </summary>
internal static class KernelCatalog
{
    private static readonly ElementType[] s_reals = [ElementType.F32, ElementType.BF16, ElementType.F16];

    private static readonly ElementType[] s_single = [ElementType.F32];
    private static readonly ElementType[] s_halves = [ElementType.BF16, ElementType.F16];

    private static readonly string[] s_attentionTiles =
        ["head_size=64 tile=32", "head_size=64 tile=64", "head_size=128 tile=32", "head_size=128 tile=64"];

    // File, the storage types it is compiled for, and the option strings besides.
    private static readonly (string File, ElementType[] Reals, string[] Options)[] s_files =
    [
        ("adamw", s_single, [""]),
        ("adapter", s_halves, [""]),
        ("attention_backward_mma", s_halves, s_attentionTiles),
        ("attention_bias", s_reals, [""]),
        ("attention_mma", s_halves, s_attentionTiles),
        ("attention_short", s_single, [""]),
        ("attention_tiled", s_reals, ["head_size=64", "head_size=128", "head_size=256"]),
        ("bce_with_logits", s_reals, [""]),
        ("bce_with_logits", s_halves, ["target=f32"]),
        ("column_sums", s_reals, [""]),
        ("convert", s_single, ["source=bf16", "source=f16"]),
        ("convert", [ElementType.BF16], ["source=f32", "source=f16"]),
        ("convert", [ElementType.F16], ["source=f32", "source=bf16"]),
        ("elementwise", s_reals, [""]),
        ("elementwise", s_single, ["from=bf16", "from=f16"]),
        ("elementwise", [ElementType.BF16], ["from=f32", "from=f16"]),
        ("elementwise", [ElementType.F16], ["from=f32", "from=bf16"]),
        ("embedding", s_reals, [""]),
        ("embedding", s_halves, ["table=f32"]),
        ("gated_mlp", s_reals, [""]),
        ("global_norm", s_single, [""]),
        ("layernorm", s_reals, [""]),
        ("layernorm", s_halves, ["stream=f32"]),
        ("loss_scale", s_single, [""]),
        ("matmul_mma", s_halves, ["tile_m=128 tile_n=128", "tile_m=128 tile_n=64", "tile_m=64 tile_n=64"]),
        ("matmul_reduce", s_reals, [""]),
        ("matmul_simt", s_single, ["tile=128", "tile=64"]),
        ("matvec", s_reals, [""]),
        ("patch_embedding", s_reals, [""]),
        ("prompt_attention", s_single, ["tile_rows=4", "tile_rows=8", "tile_rows=12", "tile_rows=16"]),
        ("prompt_attention_join", s_single, [""]),
        ("prompt_attention_mma", s_halves, ["tile_channels=256", "tile_channels=768", "tile_channels=1024"]),
        ("prompt_attention_tokens", s_single, [""]),
        ("prompt_projection", s_reals, [""]),
        ("relative_bias", s_reals, [""]),
        ("rmsnorm", s_reals, [""]),
        ("rmsnorm", s_halves, ["stream=f32"]),
        ("roofline", s_reals, [""]),
        ("rotary", s_reals, [""]),
        ("sample", s_reals, [""]),
        ("softmax_cross_entropy", s_reals, [""]),
        ("tokens", s_reals, [""]),
    ];

    /// <summary>All variants.</summary>
    public static IReadOnlyList<KernelVariant> All { get; } =
        [.. from f in s_files from options in f.Options from real in f.Reals select new KernelVariant(f.File, real, options)];
}
