using Dvp.Engine.Devices;
using Dvp.Engine.Tensors;

namespace Dvp.Engine.Autograd;

public static partial class Ops
{
    /// <summary>words[ids] + positions[t] + types[typeIds].</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="ids">I32 (B, T)</param>
    /// <param name="words">(vocabulary, C)</param>
    /// <param name="positions">(at least T, C); or null</param>
    /// <param name="types">(types, C); or null</param>
    /// <param name="typeIds">I32 (B, T); null means type 0</param>
    /// <param name="paddingIndex">The word that gets no gradient; -1 for none.</param>
    /// <returns>(B, T, C)</returns>
    public static Variable Embedding(
        this Graph graph, Variable ids, ParameterBlock words, ParameterBlock? positions, ParameterBlock? types, Variable? typeIds, int paddingIndex)
    {
        Backend backend = graph.Backend;
        bool trains = words.Trains || positions is { Trains: true } || types is { Trains: true };
        Variable y = graph.Result(trains, ids.Value.Extent(0), ids.Value.Extent(1), words.Value.Columns);
        graph.Forward(() => backend.EmbeddingForward(y.Value, ids.Value, words, positions, types, typeIds?.Value));
        graph.OnBackward(y, () =>
        {
            graph.Trains(words, positions, types);
            graph.BackwardStep(() => backend.EmbeddingBackward(
                words.Gradient, positions?.Gradient, types?.Gradient, y.Gradient!, ids.Value, typeIds?.Value, paddingIndex));
        });
        return y;
    }

    /// <summary>concat(prompt + types[1], text + types[0]) along the tokens.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="prompt">(B, P, C)</param>
    /// <param name="text">(B, T, C)</param>
    /// <param name="types">(2, C); or null</param>
    /// <returns>(B, P + T, C), a residual stream where the text is one</returns>
    public static Variable InsertPrompt(this Graph graph, Variable prompt, Variable text, ParameterBlock? types)
    {
        Backend backend = graph.Backend;
        if (text.Value.Type == backend.StreamType)
        {
            prompt = graph.Stream(prompt);
        }

        Variable y = graph.Result(
            text.Value.Type,
            prompt.NeedsGradient || text.NeedsGradient || types is { Trains: true },
            text.Value.Extent(0), prompt.Value.Extent(1) + text.Value.Extent(1), text.Value.Columns);
        graph.Forward(() => backend.InsertPromptForward(y.Value, prompt.Value, text.Value, types));

        graph.OnBackward(y, () =>
        {
            // Where the types alone train, scratch for the prompt tells the operator how many tokens are prompts.
            Tensor? dprompt = prompt.NeedsGradient ? graph.FirstGradientOf(prompt)
                : text.NeedsGradient ? null
                : graph.Allocate(prompt.Value.Type, prompt.Value.Shape);
            (Tensor? dtext, bool accumulate) = text.NeedsGradient ? graph.GradientOf(text) : (null, false);
            graph.Trains(types);
            graph.BackwardStep(() => backend.InsertPromptBackward(dprompt, dtext, types?.Gradient, y.Gradient!, accumulate));
        });
        return y;
    }

    /// <summary>Token <paramref name="position"/> of every sequence (B, C), read in place.</summary>
    public static Variable Token(this Graph graph, Variable x, int position)
    {
        Backend backend = graph.Backend;
        Variable y = new(x.Value.Token(position), x.NeedsGradient);
        graph.OnBackward(y, () =>
        {
            (Tensor dx, bool accumulate) = graph.GradientOf(x);
            Tensor row = dx.Token(position);
            graph.BackwardStep(() =>
            {
                if (accumulate)
                {
                    backend.Add(row, y.Gradient!);
                }
                else
                {
                    backend.Fill(dx, 0);
                    backend.Copy(row, y.Gradient!);
                }
            });
        });
        return y;
    }

    /// <summary>The same elements under another shape.</summary>
    public static Variable Reshape(this Graph graph, Variable x, params ReadOnlySpan<int> shape)
    {
        Backend backend = graph.Backend;
        Variable y = new(x.Value.Reshape(shape), x.NeedsGradient);
        graph.OnBackward(y, () =>
        {
            // The same memory under another shape, unless a term of a sum still reads it or it does not last.
            if (x.Slot is null && y.Slot!.Readers == 1 && y.Gradient!.IsContiguous && !Graph.Outlives(x, y))
            {
                Graph.SetGradient(x, y.Gradient.Reshape(x.Value.Shape));
                return;
            }

            (Tensor dx, bool accumulate) = graph.GradientOf(x);
            Tensor dy = y.Gradient!.Reshape(x.Value.Shape);
            graph.BackwardStep(() =>
            {
                if (accumulate)
                {
                    backend.Add(dx, dy);
                }
                else
                {
                    backend.Copy(dx, dy);
                }
            });
        });
        return y;
    }

    /// <summary>Mean over all tokens, padding included: (B, T, C) to (B, C).</summary>
    public static Variable MeanTokens(this Graph graph, Variable x)
    {
        Backend backend = graph.Backend;
        Variable y = graph.Result(x.NeedsGradient, x.Value.Extent(0), x.Value.Columns);
        graph.Forward(() => backend.MeanTokensForward(y.Value, x.Value));
        graph.OnBackward(y, () =>
        {
            (Tensor dx, bool accumulate) = graph.GradientOf(x);
            graph.BackwardStep(() => backend.MeanTokensBackward(dx, y.Gradient!, accumulate));
        });
        return y;
    }

    /// <summary>The squares of a picture as rows; pictures get no gradient.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="pixels">(B, 3, S, S')</param>
    /// <param name="patch">Side of a patch.</param>
    /// <returns>(B, n, 3 patch^2)</returns>
    public static Variable Patches(this Graph graph, Variable pixels, int patch)
    {
        Backend backend = graph.Backend;
        Tensor p = pixels.Value;
        int count = p.Extent(2) / patch * (p.Extent(3) / patch);
        Variable y = graph.Result(needsGradient: false, p.Extent(0), count, p.Extent(1) * patch * patch);
        graph.Forward(() => backend.ExtractPatches(y.Value, p, patch));
        return y;
    }

    /// <summary>concat(class token, patches) + positions, the input of a vision transformer. The tower is frozen: no gradient.</summary>
    /// <param name="graph">The recording.</param>
    /// <param name="patches">(B, n, C)</param>
    /// <param name="classToken">(C)</param>
    /// <param name="positions">(1 + n, C)</param>
    /// <returns>(B, 1 + n, C)</returns>
    public static Variable VisionTokens(this Graph graph, Variable patches, ParameterBlock classToken, ParameterBlock positions)
    {
        Backend backend = graph.Backend;
        Variable y = graph.Result(needsGradient: false, patches.Value.Extent(0), 1 + patches.Value.Extent(1), patches.Value.Columns);
        graph.Forward(() => backend.VisionTokensForward(y.Value, patches.Value, classToken, positions));
        return y;
    }

    /// <summary>
    /// One item for each row number: y[b] = x[rows[b]]. What several examples share is computed once above and spread here; backward adds up
    /// what comes from all of them, in a fixed order.
    /// </summary>
    /// <param name="graph">The recording.</param>
    /// <param name="x">(D, ...) contiguous</param>
    /// <param name="rows">I32 (B), each in [0, D)</param>
    /// <returns>(B, ...)</returns>
    public static Variable Gather(this Graph graph, Variable x, Variable rows)
    {
        Backend backend = graph.Backend;
        (int items, int batch) = (x.Value.Extent(0), rows.Value.Extent(0));
        int size = checked((int)(x.Value.Count / items));
        int[] shape = [.. x.Value.Shape];
        shape[0] = batch;
        Variable y = graph.Result(x.Value.Type, x.NeedsGradient, shape);

        // The look-up of an embedding, with items in place of words.
        ParameterBlock table = new(x.Value.Reshape(items, size), gradient: null);
        Tensor ids = rows.Value.Reshape(batch, 1);
        Tensor flat = y.Value.Reshape(batch, 1, size);
        graph.Forward(() => backend.EmbeddingForward(flat, ids, table, null, null, null));
        graph.OnBackward(y, () =>
        {
            (Tensor dx, bool accumulate) = graph.GradientOf(x);
            bool direct = dx.Type == backend.AccumulationType; // sums are made in it
            Tensor sums = direct ? dx.Reshape(items, size) : graph.SaveStatistics(items, size);
            Tensor result = dx.Reshape(items, size);
            Tensor dy = y.Gradient!.Reshape(batch, 1, size);
            graph.BackwardStep(() =>
            {
                if (!direct || !accumulate)
                {
                    backend.Fill(sums, 0);
                }

                backend.EmbeddingBackward(sums, null, null, dy, ids, null, paddingIndex: -1);
                if (!direct && accumulate)
                {
                    backend.Add(result, sums);
                }
                else if (!direct)
                {
                    backend.Copy(result, sums);
                }
            });
        });
        return y;
    }
}
