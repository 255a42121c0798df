using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.Devices.Cpu;
using Dvp.Features;
using Dvp.Models.Clip;
using Dvp.Models.Tokenizers;
using Dvp.Prompting;
using Dvp.Tasks.Vqa;
using Dvp.Training;

namespace Dvp;

/// <summary>An answer and its probability.</summary>
/// <param name="Text">The answer, as the vocabulary has it.</param>
/// <param name="Probability">Softmax for a model trained with cross-entropy; sigmoid of the answer's own logit for one trained with soft targets.</param>
public sealed record Answer(string Text, double Probability);

/// <summary>What a model says to a question about a picture.</summary>
/// <param name="Answers">The most probable answers, best first.</param>
/// <param name="Attention">(H, N) probabilities of the prompt attention: how much each visual token counted; empty without a prompt.</param>
/// <param name="Heads">H</param>
/// <param name="VisualTokens">N, the class token first, then the patches row by row.</param>
public sealed record Prediction(IReadOnlyList<Answer> Answers, float[] Attention, int Heads, int VisualTokens);

/// <summary>
/// A vision-language model ready to answer: language model, visual encoder and a trained DVP. Not thread-safe.
/// </summary>
/// <example>
/// <code>
/// using DvpModel model = DvpModel.Load("language-model", "vision-model", "run/dvp");
/// Prediction prediction = model.Answer("picture.png", "what shape is in the image?");
/// Console.WriteLine(prediction.Answers[0].Text);
/// </code>
/// </example>
public sealed class DvpModel : IDisposable
{
    private readonly Backend _backend;
    private readonly bool _ownsBackend;
    private readonly LoadedDvp _loaded;
    private readonly BertTokenizer _tokenizer;
    private readonly VisualEncoder _encoder;
    private readonly StepGraphs _graphs;

    private DvpModel(Backend backend, bool ownsBackend, LoadedDvp loaded, BertTokenizer tokenizer, VisualEncoder encoder)
    {
        _backend = backend;
        _ownsBackend = ownsBackend;
        _loaded = loaded;
        _tokenizer = tokenizer;
        _encoder = encoder;
        _graphs = new StepGraphs(loaded.Model, backend, encoder.Tokens);
    }

    /// <summary>The DVP's configuration.</summary>
    public DvpConfig Config => _loaded.Model.Config;

    /// <summary>The visual encoder, for showing what the model saw.</summary>
    public VisualEncoder Encoder => _encoder;

    /// <summary>Loads a model.</summary>
    /// <param name="languageModel">Hugging Face folder of the language model.</param>
    /// <param name="visionModel">Hugging Face folder of the visual encoder.</param>
    /// <param name="dvp">DVP folder.</param>
    /// <param name="backend">The device; null for the CPU.</param>
    /// <param name="force">Accepts a DVP that was trained on other models.</param>
    /// <exception cref="DvpException">A file is missing or damaged, or the DVP was trained on other models.</exception>
    public static DvpModel Load(string languageModel, string visionModel, string dvp, Backend? backend = null, bool force = false)
    {
        DvpConfig config = DvpConfig.Load(dvp);
        if (config.Answers.Count == 0)
        {
            throw new DvpException($"{Path.Combine(dvp, DvpConfig.FileName)} names no answers, so nothing can be answered; train with a data set.");
        }

        if (!force && !string.IsNullOrEmpty(config.VisionModelFingerprint))
        {
            string found = ClipFolder.Fingerprint(visionModel);
            if (found != config.VisionModelFingerprint)
            {
                throw new DvpException(
                    $"{dvp} was trained on the visual encoder {config.VisionModelFingerprint}, and {visionModel} is {found}; give the encoder it was trained on, or --force.");
            }
        }

        Backend device = backend ?? new CpuBackend();
        LoadedDvp? loaded = null;
        VisualEncoder? encoder = null;
        try
        {
            BertTokenizer tokenizer = BertTokenizer.Load(languageModel);
            loaded = LoadedDvp.Load(languageModel, dvp, device, new LoadOptions { Force = force });
            encoder = VisualEncoder.Load(visionModel, device, batch: 1);
            if (encoder.Channels != config.Prompt.VisualSize)
            {
                throw new DvpException(
                    $"{dvp} reads visual tokens of {config.Prompt.VisualSize} channels, and {visionModel} makes {encoder.Channels}; give the encoder it was trained on.");
            }

            return new DvpModel(device, backend is null, loaded, tokenizer, encoder);
        }
        catch
        {
            loaded?.Dispose();
            encoder?.Dispose();
            if (backend is null)
            {
                device.Dispose();
            }

            throw;
        }
    }

    /// <summary>Answers a question about a picture.</summary>
    /// <param name="picture">Picture file.</param>
    /// <param name="question">The question.</param>
    /// <param name="count">Number of answers to return.</param>
    /// <exception cref="DvpException">The file is missing or no picture, or the question is empty.</exception>
    public Prediction Answer(string picture, string question, int count = 5)
    {
        if (string.IsNullOrWhiteSpace(question))
        {
            throw new DvpException("The question is empty; ask something about the picture.");
        }

        float[] features = new float[_encoder.Tokens * _encoder.Channels];
        _encoder.Encode([picture], features);
        int[] tokens = VqaTrainingData.Tokenize(_tokenizer, question, Config.TextLength);
        TrainingSet one = new(new OnePicture(_encoder.Tokens, _encoder.Channels, features), Config.Head.Labels, [tokens], [0], [[]], [[]]);
        BatchBuffers buffers = new(one, _loaded.Model);
        InferenceStep step = _graphs.Inference(new StepShape(1, tokens.Length), Config.Layer ?? 0);
        buffers.Upload(_backend, [0], step.Inputs, _graphs.PromptTokens);
        step.Work.Run();
        float[] logits = new float[Config.Head.Labels];
        _backend.Download(logits, step.Outputs.Logits.Value);
        float[] attention = [];
        if (step.Outputs.Attention is { } probabilities)
        {
            attention = new float[probabilities.Count];
            _backend.Download(attention, probabilities);
        }

        return new Prediction(Rank(logits, count), attention, attention.Length / _encoder.Tokens, _encoder.Tokens);
    }

    /// <summary>Answers to whole sets whose features are computed already.</summary>
    /// <param name="batch">Examples of one pass.</param>
    public Predictor Predictor(int batch = 64) => new(_loaded.Model, _graphs, batch);

    /// <inheritdoc/>
    public void Dispose()
    {
        _graphs.Dispose();
        _encoder.Dispose();
        _loaded.Dispose();
        if (_ownsBackend)
        {
            _backend.Dispose();
        }
    }

    private Answer[] Rank(float[] logits, int count)
    {
        double largest = logits.Max();
        double sum = logits.Sum(z => Math.Exp(z - largest));
        Func<float, double> probability = Config.Loss == DvpLoss.CrossEntropy
            ? z => Math.Exp(z - largest) / sum
            : z => 1 / (1 + Math.Exp(-z));
        return [.. Enumerable.Range(0, logits.Length)
            .OrderByDescending(i => logits[i]).ThenBy(i => i).Take(count)
            .Select(i => new Answer(Config.Answers[i], probability(logits[i])))];
    }

    private sealed class OnePicture(int tokens, int channels, float[] values) : IVisualFeatures
    {
        public int Tokens => tokens;

        public int Channels => channels;

        public void Read(int row, Span<float> destination) => values.CopyTo(destination);
    }
}
