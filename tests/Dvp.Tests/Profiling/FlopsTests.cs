using System.Text.Json;
using Dvp.Engine;
using Dvp.Models.Bert;
using Dvp.Models.Clip;
using Dvp.Profiling;
using Dvp.Prompting;
using Xunit;

namespace Dvp.Tests.Profiling;

/// <summary>The analytic costs against numbers worked out by hand for BERT-base and CLIP ViT-B/16.</summary>
public sealed class FlopsTests
{
    private static readonly BertConfig s_bert = new()
    {
        VocabularySize = 30522,
        HiddenSize = 768,
        Layers = 12,
        Heads = 12,
        IntermediateSize = 3072,
        MaximumPositions = 512,
    };

    private static readonly ClipVisionConfig s_clip = new()
    {
        HiddenSize = 768,
        Layers = 12,
        Heads = 12,
        IntermediateSize = 3072,
        ImageSize = 224,
        PatchSize = 16,
    };

    private static readonly FlopsSettings s_base = new()
    {
        Bert = s_bert,
        Dvp = new DvpConfig { Prompt = new PromptConfig(768, 12, 768), Head = new HeadConfig(1536, 3129) },
        Layer = 0,
        VisualTokens = 197,
        TextTokens = 16,
        ActivationBytes = 2,
        WeightBytes = 2,
    };

    private static readonly FlopsSettings s_adapter = s_base with { Dvp = s_base.Dvp with { Adapters = new AdapterConfig(96) } };

    [Fact]
    public void Absorbing_takes_prompt_attention_from_465_to_12_MFLOP()
    {
        FlopsTable projected = FlopsModel.Count(s_base with { Absorbed = false });
        long projections = projected.Row(FlopsPart.Prompt, "key projection").ForwardFlops
            + projected.Row(FlopsPart.Prompt, "value projection").ForwardFlops;
        Assert.Equal(2L * 2 * 197 * 768 * 768, projections);
        Assert.Equal(465, Math.Round(projections / 1e6));

        FlopsTable absorbed = FlopsModel.Count(s_base);
        Assert.Equal(12, Math.Round(absorbed.ForwardFlopsOf(FlopsPart.Prompt) / 1e6));
        Assert.Equal((2L * 4 * 768 * 768) + (4L * 12 * 197 * 768), absorbed.ForwardFlopsOf(FlopsPart.Prompt));
    }

    [Fact]
    public void Reading_one_row_saves_what_it_should()
    {
        // 17 rows: 78 % of the last layer, 6.5 % of a forward pass at K = 0, 78 % of the layers from K on at K = 11.
        FlopsTable one = FlopsModel.Count(s_base);
        FlopsTable all = FlopsModel.Count(s_base with { OnlyReadRow = false });
        Assert.Equal(0.78, Saved(one.ForwardFlopsOf(FlopsPart.LastLayer), all.ForwardFlopsOf(FlopsPart.LastLayer)), 0.006);
        Assert.Equal(0.065, Saved(one.ForwardFlops, all.ForwardFlops), 0.0005);

        FlopsTable lateOne = FlopsModel.Count(s_base with { Layer = 11 });
        FlopsTable lateAll = FlopsModel.Count(s_base with { Layer = 11, OnlyReadRow = false });
        Assert.Equal(
            0.78,
            Saved(lateOne.ForwardFlopsOf(FlopsPart.Suffix, FlopsPart.LastLayer),
            lateAll.ForwardFlopsOf(FlopsPart.Suffix, FlopsPart.LastLayer)), 0.006);

        static double Saved(long one, long all) => 1 - ((double)one / all);
    }

    [Fact]
    public void A_layer_counts_its_products()
    {
        // Full layer at 17 rows: 12 products of C x C and the two of the attention.
        FlopsTable table = FlopsModel.Count(s_base with { OnlyReadRow = false });
        long layer = (2L * 17 * 12 * 768 * 768) + (4L * 17 * 17 * 768);
        Assert.Equal(11 * layer, table.ForwardFlopsOf(FlopsPart.Suffix));
        Assert.Equal(layer, table.ForwardFlopsOf(FlopsPart.LastLayer));
        Assert.Equal(0, table.ForwardFlopsOf(FlopsPart.Prefix));
        Assert.Equal(2L * ((768 * 1536) + (1536 * 3129)), table.ForwardFlopsOf(FlopsPart.Head));

        // The row that is read: keys and values of all 17, everything else of one.
        FlopsTable read = FlopsModel.Count(s_base);
        Assert.Equal((2L * 17 * 2 * 768 * 768) + (2L * 10 * 768 * 768) + (4L * 17 * 768), read.ForwardFlopsOf(FlopsPart.LastLayer));
    }

    [Fact]
    public void Floors_of_an_H200_are_the_known_ones()
    {
        // 790 TFLOP/s and 4.3 TB/s: forward 237 us at 64 and 947 us at 256; adapter step 2.02 ms at 256; CLIP 11.4 ms at 256.
        const double rate = 790e12;
        const double memory = 4.3e12;
        FlopsSettings all = s_base with { OnlyReadRow = false };
        Assert.Equal(237e-6, FlopsModel.Count(all with { Batch = 64 }).Flops / rate, 0.5e-6);
        Assert.Equal(947e-6, FlopsModel.Count(all with { Batch = 256 }).Flops / rate, 1e-6);
        Assert.Equal(2.02e-3, FlopsModel.Count(s_adapter with { OnlyReadRow = false, Training = true, Batch = 256 }).Flops / rate, 0.01e-3);
        FlopsTable clip = FlopsModel.Count(s_base with { Vision = s_clip, VisualTokens = null, Batch = 256 });
        Assert.Equal(11.4e-3, clip.ForwardFlopsOf(FlopsPart.VisualEncoder) / rate, 0.05e-3);

        FlopsRow mixture = FlopsModel.Count(s_base with { Batch = 256 }).Row(FlopsPart.Prompt, "scores and mixture");
        Assert.Equal(18e-6, mixture.Bytes / memory, 3e-6); // the features once, and the per-head vectors
        Assert.Equal(mixture.Bytes / memory, mixture.FloorSeconds(rate, memory), 1e-12);
        FlopsTable projected = FlopsModel.Count(s_base with { Batch = 256, Absorbed = false });
        FlopsRow[] rows = [..
            projected.Rows.Where(r => r.Op is "key projection" or "value projection"
                || (r.Op == "attention" && r.Part == FlopsPart.Prompt))];
        Assert.Equal(151e-6, rows.Sum(r => r.Flops) / rate, 1e-6);
        long secondRead = 256L * 197 * 768 * 2; // both projections share one read of the features
        Assert.Equal(90e-6, (rows.Sum(r => r.Bytes) - secondRead) / memory, 1e-6);
    }

    [Fact]
    public void Training_needs_only_the_gradients_that_lead_to_something_trained()
    {
        // Everything trains: two gradients for each product but for the frozen features.
        FlopsTable full = FlopsModel.Count(s_base with { Training = true, Layer = 3 });
        Assert.Equal(2 * full.ForwardFlopsOf(FlopsPart.Suffix), Backward(full, FlopsPart.Suffix));
        FlopsRow mixture = full.Row(FlopsPart.Prompt, "scores and mixture");
        Assert.Equal(mixture.ForwardFlops, mixture.BackwardFlops);

        // Adapters below K: the first layer's attention lies below the lowest trained parameter and has no backward pass.
        FlopsTable adapter = FlopsModel.Count(s_adapter with { Training = true, Layer = 3 });
        FlopsRow products = adapter.Row(FlopsPart.Prefix, "query, key, value");
        Assert.Equal(products.ForwardFlops * 2 / 3, products.BackwardFlops); // layers 1 and 2 of 0 to 2, inputs only
        FlopsRow down = adapter.Row(FlopsPart.Prefix, "adapter down");
        Assert.Equal(down.ForwardFlops * 2 - down.ForwardFlops / 6, down.BackwardFlops); // all but the first adapter pass on a gradient
        FlopsRow inner = adapter.Row(FlopsPart.Prefix, "feed-forward in");
        Assert.Equal(inner.ForwardFlops, inner.BackwardFlops);

        Assert.Equal(0, FlopsModel.Count(s_base).BackwardFlops);
        Assert.True(adapter.TrainedParameters < full.TrainedParameters / 5);
        Assert.Equal(7 * 4 * adapter.TrainedParameters, adapter.Row(FlopsPart.Optimizer, "AdamW").BackwardBytes);

        long prompt = (4L * 768 * 768) + (4 * 768) + (2 * 768);
        long adapters = 24L * ((2 * 768 * 96) + 96 + 768);
        long norms = 24L * 2 * 768;
        long head = (768L * 1536) + 1536 + (2 * 1536) + (1536L * 3129) + 3129;
        Assert.Equal(prompt + adapters + norms + head, adapter.TrainedParameters);

        // BERT-base is known to have 109,482,240 parameters, its pooler's 590,592 among them, which nothing here reads.
        FlopsTable text = FlopsModel.Count(s_base with { Training = true, Kind = PromptKind.None });
        Assert.Equal(109_482_240 - 590_592 + head, text.TrainedParameters);
        Assert.Equal(text.Parameters, text.TrainedParameters);

        static long Backward(FlopsTable table, FlopsPart part) => table.Rows.Where(r => r.Part == part).Sum(r => r.BackwardFlops);
    }

    [Fact]
    public void All_visual_tokens_cost_what_a_long_sequence_costs()
    {
        FlopsTable all = FlopsModel.Count(s_base with { Kind = PromptKind.AllTokens, OnlyReadRow = false });
        const long t = 16 + 197;
        Assert.Equal(12 * ((2L * t * 12 * 768 * 768) + (4 * t * t * 768)), all.ForwardFlopsOf(FlopsPart.Suffix, FlopsPart.LastLayer));
        Assert.Equal(2L * 197 * 768 * 768, all.ForwardFlopsOf(FlopsPart.Prompt));

        FlopsTable late = FlopsModel.Count(s_base with { Kind = PromptKind.AllTokens, Layer = 6, OnlyReadRow = false });
        Assert.Equal(6 * ((2L * 16 * 12 * 768 * 768) + (4 * 16 * 16 * 768)), late.ForwardFlopsOf(FlopsPart.Prefix));

        IReadOnlyList<FlopsTable> forms = FlopsModel.CountForms(s_base with { Vision = s_clip });
        Assert.Equal(5, forms.Count);
        Assert.True(forms[0].ForwardFlops < forms[1].ForwardFlops && forms[1].ForwardFlops < forms[2].ForwardFlops);
        Assert.True(forms[3].ForwardFlops < forms[0].ForwardFlops && forms[4].ForwardFlops < forms[3].ForwardFlops);
        Assert.Equal(0, forms[4].ForwardFlopsOf(FlopsPart.VisualEncoder, FlopsPart.Prompt));
        Assert.Equal(forms.Count, forms.Select(f => f.Name).Distinct().Count());
    }

    [Fact]
    public void Scoring_layers_of_one_batch_shares_the_text_prefix()
    {
        int[] arms = [2, 9, 9, 4, 11];
        (long shared, long whole) = FlopsModel.ScoreLayers(s_base, arms);
        FlopsTable[] tables = [.. arms.Select(k => FlopsModel.Count(s_base with { Layer = k }))];
        Assert.Equal(tables.Sum(t => t.ForwardFlops), whole);
        long expected = tables[4].ForwardFlopsOf(FlopsPart.Prefix)
            + new[] { tables[0], tables[1], tables[3], tables[4] }.Sum(t => t.ForwardFlops - t.ForwardFlopsOf(FlopsPart.Prefix));
        Assert.Equal(expected, shared);
        Assert.True(shared < 0.6 * whole);
    }

    [Fact]
    public void The_table_prints_and_serialises_its_totals()
    {
        FlopsTable table = FlopsModel.Count(s_adapter with { Training = true, Batch = 4, Layer = 5 });
        string text = table.ToText();
        Assert.Contains("adapter training step", text, StringComparison.Ordinal);
        Assert.Contains("scores and mixture", text, StringComparison.Ordinal);
        Assert.All(text.Split('\n').Skip(1), line => Assert.True(line.Length <= 120, line));

        using MemoryStream stream = new();
        using (Utf8JsonWriter writer = new(stream))
        {
            table.WriteJson(writer);
        }

        using JsonDocument json = JsonDocument.Parse(stream.ToArray());
        Assert.Equal(table.ForwardFlops, json.RootElement.GetProperty("forward_flops").GetInt64());
        Assert.Equal(
            table.BackwardFlops, json.RootElement.GetProperty("ops").EnumerateArray().Sum(o => o.GetProperty("backward_flops").GetInt64()));
        Assert.Equal(table.Flops, 4 * FlopsModel.Count(s_adapter with { Training = true, Batch = 1, Layer = 5 }).Flops);
    }

    [Fact]
    public void Missing_or_impossible_sizes_are_refused()
    {
        Assert.Throws<DvpException>(() => FlopsModel.Count(s_base with { Layer = 12 }));
        Assert.Throws<DvpException>(() => FlopsModel.Count(s_base with { Layer = null }));
        Assert.Throws<DvpException>(() => FlopsModel.Count(s_base with { VisualTokens = null }));
        Assert.Throws<DvpException>(() => FlopsModel.Count(s_base with { Batch = 0 }));
    }
}
