using Dvp.Engine.Tensors;

namespace Dvp.Tests.Oracle;

public sealed unsafe partial class ReferenceBackend
{
    /// <inheritdoc/>
    public override void EmbeddingForward(
        Tensor y, Tensor ids, ParameterBlock words, ParameterBlock? positions, ParameterBlock? types, Tensor? typeIds)
    {
        Launched();
        (int batch, int tokens, int channels) = (y.Extent(0), y.Extent(1), y.Columns);
        Require(ids.Count == batch * tokens, $"Ids {ids} do not fit a result {y}.");
        Require(words.Value.Columns == channels, $"Words {words.Value} do not fit a result {y}.");
        Require(positions is null || positions.Value.Rows >= tokens, $"{tokens} tokens need as many positions.");
        int[] id = Integers(ids);
        int[]? type = typeIds is null ? null : Integers(typeIds);
        double[] word = Load(words.Value);
        double[]? position = positions is null ? null : Load(positions.Value);
        double[]? typeRows = types is null ? null : Load(types.Value);
        double[] result = new double[y.Count];
        for (int n = 0; n < batch * tokens; n++)
        {
            for (int c = 0; c < channels; c++)
            {
                result[(n * channels) + c] = word[(id[n] * channels) + c]
                    + (position?[(n % tokens * channels) + c] ?? 0)
                    + (typeRows?[((type?[n] ?? 0) * channels) + c] ?? 0);
            }
        }

        Store(y, result);
    }

    /// <inheritdoc/>
    public override void EmbeddingBackward(
        Tensor? dwords, Tensor? dpositions, Tensor? dtypes, Tensor dy, Tensor ids, Tensor? typeIds, int paddingIndex)
    {
        Launched();
        (int batch, int tokens, int channels) = (dy.Extent(0), dy.Extent(1), dy.Columns);
        int[] id = Integers(ids);
        int[]? type = typeIds is null ? null : Integers(typeIds);
        double[] d = Load(dy);
        double[] toWords = new double[dwords?.Count ?? 0];
        double[] toPositions = new double[dpositions?.Count ?? 0];
        double[] toTypes = new double[dtypes?.Count ?? 0];
        for (int n = 0; n < batch * tokens; n++)
        {
            for (int c = 0; c < channels; c++)
            {
                double value = d[(n * channels) + c];
                if (dwords is not null && id[n] != paddingIndex)
                {
                    toWords[(id[n] * channels) + c] += value;
                }

                if (dpositions is not null)
                {
                    toPositions[(n % tokens * channels) + c] += value;
                }

                if (dtypes is not null)
                {
                    toTypes[((type?[n] ?? 0) * channels) + c] += value;
                }
            }
        }

        StoreIfWanted(dwords, toWords, accumulate: true);
        StoreIfWanted(dpositions, toPositions, accumulate: true);
        StoreIfWanted(dtypes, toTypes, accumulate: true);
    }

    /// <inheritdoc/>
    public override void InsertPromptForward(Tensor y, Tensor prompt, Tensor text, ParameterBlock? types)
    {
        Launched();
        (int batch, int prompts, int tokens, int channels) = (y.Extent(0), prompt.Extent(1), text.Extent(1), y.Columns);
        Require(y.Extent(1) == prompts + tokens, $"{prompt} and {text} joined do not fit {y}.");
        double[] p = Load(prompt);
        double[] t = Load(text);
        double[]? type = types is null ? null : Load(types.Value);
        double[] result = new double[y.Count];
        for (int b = 0; b < batch; b++)
        {
            for (int i = 0; i < prompts + tokens; i++)
            {
                for (int c = 0; c < channels; c++)
                {
                    bool isPrompt = i < prompts;
                    double value = isPrompt
                        ? p[(((b * prompts) + i) * channels) + c]
                        : t[(((b * tokens) + i - prompts) * channels) + c];
                    double offset = type is null ? 0 : type[(isPrompt ? channels : 0) + c];
                    result[(((b * (prompts + tokens)) + i) * channels) + c] = value + offset;
                }
            }
        }

        Store(y, result);
    }

    /// <inheritdoc/>
    public override void InsertPromptBackward(Tensor? dprompt, Tensor? dtext, Tensor? dtypes, Tensor dy, bool accumulateText)
    {
        Launched();
        (int batch, int all, int channels) = (dy.Extent(0), dy.Extent(1), dy.Columns);
        Require(dprompt is not null || dtext is not null, "The number of prompts is not known without a gradient of either part.");
        int prompts = dprompt?.Extent(1) ?? (all - dtext!.Extent(1));
        int tokens = all - prompts;
        double[] d = Load(dy);
        double[] toPrompt = new double[batch * prompts * channels];
        double[] toText = new double[batch * tokens * channels];
        double[] toTypes = new double[2 * channels];
        for (int b = 0; b < batch; b++)
        {
            for (int i = 0; i < all; i++)
            {
                for (int c = 0; c < channels; c++)
                {
                    double value = d[(((b * all) + i) * channels) + c];
                    if (i < prompts)
                    {
                        toPrompt[(((b * prompts) + i) * channels) + c] = value;
                        toTypes[channels + c] += value;
                    }
                    else
                    {
                        toText[(((b * tokens) + i - prompts) * channels) + c] = value;
                        toTypes[c] += value;
                    }
                }
            }
        }

        StoreIfWanted(dprompt, toPrompt, accumulate: false);
        StoreIfWanted(dtext, toText, accumulateText);
        StoreIfWanted(dtypes, toTypes, accumulate: true);
    }

    /// <inheritdoc/>
    public override void VisionTokensForward(Tensor y, Tensor patches, ParameterBlock classToken, ParameterBlock positions)
    {
        Launched();
        (int batch, int tokens, int channels) = (y.Extent(0), y.Extent(1), y.Columns);
        Require(patches.Rows == batch * (tokens - 1) && patches.Columns == channels, $"{patches} and a class token do not fit {y}.");
        Require(positions.Value.Rows == tokens && classToken.Value.Count == channels, $"Positions and class token do not fit {y}.");
        double[] patch = Load(patches);
        double[] first = Load(classToken.Value);
        double[] position = Load(positions.Value);
        double[] result = new double[y.Count];
        for (int b = 0; b < batch; b++)
        {
            for (int t = 0; t < tokens; t++)
            {
                for (int c = 0; c < channels; c++)
                {
                    double token = t == 0 ? first[c] : patch[(((b * (tokens - 1)) + t - 1) * channels) + c];
                    result[(((b * tokens) + t) * channels) + c] = token + position[(t * channels) + c];
                }
            }
        }

        Store(y, result);
    }

    /// <inheritdoc/>
    public override void MeanTokensForward(Tensor y, Tensor x)
    {
        Launched();
        (int batch, int tokens, int channels) = (x.Extent(0), x.Extent(1), x.Columns);
        Require(y.Rows == batch && y.Columns == channels, $"A mean {y} does not fit {x}.");
        double[] values = Load(x);
        double[] result = new double[batch * channels];
        for (int i = 0; i < values.Length; i++)
        {
            result[(i / (tokens * channels) * channels) + (i % channels)] += values[i] / tokens;
        }

        Store(y, result);
    }

    /// <inheritdoc/>
    public override void MeanTokensBackward(Tensor dx, Tensor dy, bool accumulate)
    {
        Launched();
        (int tokens, int channels) = (dx.Extent(1), dx.Columns);
        Require(dy.Rows == dx.Extent(0) && dy.Columns == channels, $"A gradient {dy} does not fit {dx}.");
        double[] d = Load(dy);
        double[] result = new double[dx.Count];
        for (int i = 0; i < result.Length; i++)
        {
            result[i] = d[(i / (tokens * channels) * channels) + (i % channels)] / tokens;
        }

        Store(dx, result, accumulate);
    }

    /// <inheritdoc/>
    public override void ExtractPatches(Tensor patches, Tensor pixels, int patch)
    {
        Launched();
        (int batch, int colours, int height, int width) = (pixels.Extent(0), pixels.Extent(1), pixels.Extent(2), pixels.Extent(3));
        (int down, int across) = (height / patch, width / patch);
        Require(
            patches.Rows == batch * down * across && patches.Columns == colours * patch * patch, $"{patches} does not fit {pixels}.");
        double[] source = Load(pixels);
        double[] result = new double[patches.Count];
        int at = 0;
        for (int b = 0; b < batch; b++)
        {
            for (int n = 0; n < down * across; n++)
            {
                for (int c = 0; c < colours; c++)
                {
                    for (int i = 0; i < patch; i++)
                    {
                        for (int j = 0; j < patch; j++)
                        {
                            int row = (n / across * patch) + i;
                            int column = (n % across * patch) + j;
                            result[at++] = source[(((((b * colours) + c) * height) + row) * width) + column];
                        }
                    }
                }
            }
        }

        Store(patches, result);
    }
}
