using Dvp.Engine.IO;
using Dvp.Engine.Nn;
using Dvp.Models.Llama;
using Dvp.Models.T5;

namespace Dvp.Evaluation;

// T5 and LLaMA, loaded whole and as strictly as for use.
public static partial class Inspector
{
    private static void LoadT5(Inspection found, ParameterSet parameters)
    {
        using T5Folder folder = T5Folder.Open(found.Path);
        T5Config config = folder.Config;
        found.Fact("encoder layers", Count(config.EncoderLayers));
        found.Fact("decoder layers", Count(config.DecoderLayers));
        Sizes(found, config.HiddenSize, config.VocabularySize, folder.Fingerprint());
        found.Fact("language-model head", folder.HasOwnHead ? "its own" : "the embedding");
        CheckpointValues values = new(folder.Weights(languageModel: true));
        ParameterBuilder builder = new(parameters, values, _ => false);
        _ = new T5Model(config, builder, folder.HasOwnHead);
        values.Finish(builder.Missing);
    }

    private static void LoadLlama(Inspection found, ParameterSet parameters)
    {
        using LlamaFolder folder = LlamaFolder.Open(found.Path);
        LlamaConfig config = folder.Config;
        found.Fact("layers", Count(config.Layers));
        Sizes(found, config.HiddenSize, config.VocabularySize, folder.Fingerprint());
        found.Fact("language-model head", config.Tied ? "the embedding" : "its own");
        CheckpointValues values = new(folder.Weights(languageModel: true));
        ParameterBuilder builder = new(parameters, values, _ => false);
        _ = new LlamaModel(config, builder, ownHead: !config.Tied);
        values.Finish(builder.Missing);
    }

    private static void Sizes(Inspection found, int channels, int vocabulary, string fingerprint)
    {
        found.Fact("hidden size", Count(channels));
        found.Fact("vocabulary", Count(vocabulary));
        found.Fact("fingerprint", fingerprint);
    }
}
