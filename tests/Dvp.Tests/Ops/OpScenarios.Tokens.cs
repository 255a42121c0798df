using Dvp.Engine.Tensors;

namespace Dvp.Tests.Ops;

internal static partial class OpScenarios
{
    private static IEnumerable<OpScenario> Tokens()
    {
        foreach (int channels in s_raggedSizes)
        {
            yield return new(
                $"embedding 3x7x{channels}", b => Embed(b, 3, 7, channels, 13, positions: true, types: true, typeIds: true, -1));
            yield return new($"insert prompt 3x(1+5)x{channels}", b => Insert(b, 3, 1, 5, channels, types: true));
            yield return new($"mean tokens 3x17x{channels}", b => Mean(b, 3, 17, channels));
        }

        yield return new("embedding, words only, padding row", b => Embed(b, 2, 33, 31, 9, false, false, false, 0));
        yield return new("embedding, words frozen", b => Embed(b, 2, 9, 16, 9, true, true, false, -1, wordsTrain: false));
        yield return new("embedding, large", b => Embed(b, 16, 16, 384, 300, true, true, true, 0));
        yield return new("insert prompt, 3 prompts without types", b => Insert(b, 2, 3, 17, 33, types: false));
        yield return new("insert prompt 65x(1+16)x128", b => Insert(b, 65, 1, 16, 128, types: true));
        yield return new("mean tokens 1x1x5", b => Mean(b, 1, 1, 5));
        yield return new("mean tokens 40x65x128", b => Mean(b, 40, 65, 128));
        foreach ((int batch, int height, int width, int patch, int channels) in ((int, int, int, int, int)[])
            [(1, 7, 7, 7, 5), (2, 31, 45, 7, 33), (3, 64, 64, 8, 128), (1, 33, 17, 5, 1)])
        {
            yield return new($"patches {batch}x{height}x{width} by {patch}", b => Patches(b, batch, height, width, patch, channels));
        }
    }

    internal static void Embed(
        OpBench b, int batch, int tokens, int channels, int vocabulary, bool positions, bool types, bool typeIds, int padding,
        bool wordsTrain = true)
    {
        Tensor ids = b.Input(OpBench.Integers("ids", batch * tokens, 0, vocabulary), batch, tokens);
        Tensor? ofType = typeIds ? b.Input(OpBench.Integers("type ids", batch * tokens, 0, 2), batch, tokens) : null;
        ParameterBlock words = b.Parameter("words", [vocabulary, channels], wordsTrain);
        ParameterBlock? position = positions ? b.Parameter("positions", [tokens + 3, channels]) : null;
        ParameterBlock? type = types ? b.Parameter("types", [2, channels]) : null;
        Tensor y = b.Output([batch, tokens, channels]);
        Tensor dy = b.Input("dy", [batch, tokens, channels]);
        b.Run(d => d.EmbeddingForward(y, ids, words, position, type, ofType));
        b.Run(d => d.EmbeddingBackward(words.Gradient, position?.Gradient, type?.Gradient, dy, ids, ofType, padding));
        b.Result("y", y);
        foreach ((string name, ParameterBlock? block) in ((string, ParameterBlock?)[])
            [("dwords", words), ("dpositions", position), ("dtypes", type)])
        {
            if (block is { Gradient: { } gradient })
            {
                b.Result(name, gradient);
            }
        }
    }

    private static void Insert(OpBench b, int batch, int prompts, int tokens, int channels, bool types)
    {
        (Tensor prompt, Tensor text) = (b.Input("prompt", [batch, prompts, channels]), b.Input("text", [batch, tokens, channels]));
        ParameterBlock? type = types ? b.Parameter("types", [2, channels]) : null;
        Tensor y = b.Output([batch, prompts + tokens, channels]);
        Tensor dy = b.Input("dy", [batch, prompts + tokens, channels]);
        (Tensor dprompt, Tensor dtext, Tensor added) =
            (b.Output(prompt.Shape), b.Output(text.Shape), b.InOut("added", text.Shape));
        (Tensor dpromptAlone, Tensor dtextAlone) = (b.Output(prompt.Shape), b.Output(text.Shape));
        b.Run(d => d.InsertPromptForward(y, prompt, text, type));
        b.Run(d => d.InsertPromptBackward(dprompt, dtext, type?.Gradient, dy, accumulateText: false));
        b.Run(d => d.InsertPromptBackward(dpromptAlone, added, null, dy, accumulateText: true));
        b.Run(d => d.InsertPromptBackward(dpromptAlone, null, type?.Gradient, dy, accumulateText: false));
        b.Run(d => d.InsertPromptBackward(null, dtextAlone, type?.Gradient, dy, accumulateText: false));
        b.Result("y", y);
        b.Result("dprompt", dprompt);
        b.Result("dtext", dtext);
        b.Result("dtext added", added);
        b.Result("dprompt alone", dpromptAlone);
        b.Result("dtext alone", dtextAlone);
        if (type is not null)
        {
            b.Result("dtypes", type.Gradient!);
        }
    }

    private static void Mean(OpBench b, int batch, int tokens, int channels)
    {
        Tensor x = b.Input("x", [batch, tokens, channels]);
        (Tensor y, Tensor dx, Tensor added) =
            (b.Output([batch, channels]), b.Output(x.Shape), b.InOut("added", x.Shape));
        Tensor dy = b.Input("dy", [batch, channels]);
        b.Run(d => d.MeanTokensForward(y, x));
        b.Run(d => d.MeanTokensBackward(dx, dy, accumulate: false));
        b.Run(d => d.MeanTokensBackward(added, dy, accumulate: true));
        b.Result("y", y);
        b.Result("dx", dx);
        b.Result("dx added", added);
    }

    private static void Patches(OpBench b, int batch, int height, int width, int patch, int channels)
    {
        int count = height / patch * (width / patch);
        Tensor patches = b.Output([batch, count, 3 * patch * patch]);
        Tensor pixels = b.Input("pixels", [batch, 3, height, width]);
        b.Run(d => d.ExtractPatches(patches, pixels, patch));
        b.Result("patches", patches);

        Tensor tokens = b.Output([batch, count + 1, channels]);
        Tensor embedded = b.Input("embedded", [batch, count, channels]);
        (ParameterBlock first, ParameterBlock positions) =
            (b.Parameter("class", [channels], trains: false), b.Parameter("positions", [count + 1, channels], trains: false));
        b.Run(d => d.VisionTokensForward(tokens, embedded, first, positions));
        b.Result("tokens", tokens);
    }

    private static IEnumerable<OpScenario> Positions()
    {
        foreach ((int batch, int tokens, int heads, int size) in ((int, int, int, int)[])
            [(1, 1, 1, 2), (2, 5, 3, 10), (2, 17, 2, 64), (3, 33, 4, 16), (1, 65, 1, 130), (8, 40, 4, 128)])
        {
            // f32 angles are rounded: position times frequency at position 1000 is off by up to 6e-5.
            yield return new($"rotary {batch}x{tokens}, {heads} heads of {size}", b => Turn(b, batch, tokens, heads, size), 10);
        }

        foreach ((int heads, int queries, int keys, int buckets, int distance, bool both) in ((int, int, int, int, int, bool)[])
            [(1, 1, 1, 32, 128, true), (3, 17, 17, 32, 128, true), (5, 33, 31, 32, 128, false), (12, 65, 65, 32, 128, true),
             (2, 150, 257, 16, 60, true), (2, 200, 200, 32, 128, false)])
        {
            yield return new(
                $"relative bias {heads}x{queries}x{keys}, {buckets} buckets to {distance}{(both ? ", both ways" : "")}",
                b => RelativeBias(b, heads, queries, keys, buckets, distance, both));
        }
    }

    /// <summary>Query and key as parts of one product, turned where they lie, and turned back.</summary>
    private static void Turn(OpBench b, int batch, int tokens, int heads, int size)
    {
        int channels = heads * size;
        Tensor positions = b.Input(OpBench.Integers("positions", batch * tokens, 0, 1000), batch, tokens);
        Tensor packed = b.InOut("qkv", [batch, tokens, 3 * channels]);
        (Tensor query, Tensor key) = (packed.SliceColumns(0, channels), packed.SliceColumns(channels, channels));
        Tensor y = b.Output([batch, tokens, channels]);
        b.Run(d => d.Rotary(y, query, positions, heads, 10000, 1));
        b.Run(d => d.Rotary(key, key, positions, heads, 500000, -1));
        b.Result("y", y);
        b.Result("packed", packed);
    }

    private static void RelativeBias(OpBench b, int heads, int queries, int keys, int buckets, int distance, bool both)
    {
        ParameterBlock weight = b.Parameter("weight", [buckets, heads]);
        Tensor bias = b.Output([heads, queries, keys]);
        b.Run(d => d.RelativeBiasForward(bias, weight, both, distance));
        Tensor dbias = b.Input("dbias", [heads, queries, keys]);
        b.Run(d => d.RelativeBiasBackward(weight.Gradient!, dbias, both, distance));
        b.Result("bias", bias);
        b.Result("dweight", weight.Gradient!);
    }
}
