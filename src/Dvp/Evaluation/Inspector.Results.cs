using System.Globalization;
using System.Text.Json;
using Dvp.Engine;
using Dvp.Engine.IO;
using Dvp.Experiments;
using Dvp.Features;
using Dvp.Models.Tokenizers;
using Dvp.Prompting;

namespace Dvp.Evaluation;

public static partial class Inspector
{
    private static void FeatureFolder(Inspection found)
    {
        using FeatureStore store = FeatureStore.Open(found.Path, found.Path);
        found.Fact("pictures", Count(store.Count));
        found.Fact("tokens of a picture", Count(store.Tokens));
        found.Fact("channels", Count(store.Channels));
        found.Fact("bytes", Count(store.Bytes));
        found.Fact("vision model", store.VisionModelFingerprint);
        float[] values = new float[store.Tokens * store.Channels];
        for (int row = 0; row < store.Count; row++)
        {
            store.Read(row, values);
            if (!Array.TrueForAll(values, float.IsFinite))
            {
                found.Problem(string.Create(
                    CultureInfo.InvariantCulture,
                    $"{found.Path}: the features of picture {row} hold a value that is no finite number; build them again."));
                return;
            }
        }
    }

    private static void Run(Inspection found)
    {
        string manifest = Path.Combine(found.Path, RunFolder.ManifestName);
        try
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(manifest));
            foreach (JsonProperty fact in document.RootElement.EnumerateObject())
            {
                found.Fact(fact.Name, fact.Value.ToString());
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new DvpException($"{manifest} is no JSON object: {e.Message}", e);
        }

        foreach (string name in Directory.GetDirectories(found.Path).Select(d => Path.GetFileName(d)).Order(StringComparer.Ordinal))
        {
            string folder = Path.Combine(found.Path, name);
            if (File.Exists(Path.Combine(folder, DvpConfig.FileName)) || File.Exists(Path.Combine(folder, FeatureStore.IndexName)))
            {
                InspectionReport part = Inspect(folder);
                found.Fact(name, part.Problems.Count == 0 ? part.Title : $"{part.Title}, damaged");
                foreach (string problem in part.Problems)
                {
                    found.Problem(problem);
                }
            }
            else if (AtomicFolder.Exists(Path.Combine(folder, "checkpoint")))
            {
                string state = Path.Combine(AtomicFolder.Resolve(Path.Combine(folder, "checkpoint")), "state.json");
                found.Fact(name, string.Create(CultureInfo.InvariantCulture, $"a checkpoint at step {ConfigFile.Load(state).Int("step")}"));
            }
        }
    }

    private static void Tokenizer(Inspection found) => found.Fact(
        "tokenizer", $"{Count(BertTokenizer.Load(found.Path).VocabularySize)} tokens");
}
