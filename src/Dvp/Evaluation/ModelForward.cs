using Dvp.Engine;
using Dvp.Engine.Autograd;
using Dvp.Engine.Devices;
using Dvp.Engine.IO;
using Dvp.Engine.Nn;
using Dvp.Engine.Optim;
using Dvp.Engine.Tensors;
using Dvp.Models.Bert;
using Dvp.Models.Clip;
using Dvp.Prompting;

namespace Dvp.Evaluation;

/// <summary>
/// Runs a model on given tensors and returns every named state, the loss and the gradients: parity with another implementation is one
/// comparison of two files. Names are those of the golden files (<c>hidden_states.0</c>, <c>logits</c>, <c>gradients.encoder...</c>).
/// </summary>
public static partial class ModelForward
{
    /// <summary>Runs a BERT, T5, LLaMA or CLIP vision model, or a language model with a DVP.</summary>
    /// <param name="modelFolder">Hugging Face folder.</param>
    /// <param name="dvpFolder">DVP folder, or null for the model alone.</param>
    /// <param name="inputs"><c>input_ids</c>, <c>decoder_input_ids</c> (T5; by default the labels shifted right), <c>attention_mask</c>, <c>token_type_ids</c>, <c>visual_features</c>, <c>pixel_values</c>; a loss by <c>cotangent</c>, <c>labels</c> or <c>targets</c></param>
    /// <param name="backend">The device.</param>
    /// <param name="gradients">Whether to run the backward pass: of the parameters that the DVP trains, or of all of a model alone.</param>
    /// <param name="force">Whether a DVP of another language model is accepted.</param>
    /// <exception cref="DvpException">A file or an input is missing, damaged or does not fit.</exception>
    public static TensorArchive Run(
        string modelFolder, string? dvpFolder, TensorArchive inputs, Backend backend, bool gradients = false, bool force = false)
    {
        string type = ConfigFile.Load(Path.Combine(modelFolder, "config.json")).Text("model_type");
        return (type, dvpFolder) switch
        {
            ("bert", null) => new ForwardRun(backend, inputs).Bert(modelFolder, gradients),
            ("t5", null) => new ForwardRun(backend, inputs).T5(modelFolder, gradients),
            ("llama", null) => new ForwardRun(backend, inputs).Llama(modelFolder, gradients),
            ("bert" or "t5" or "llama", not null) => new ForwardRun(backend, inputs).Dvp(modelFolder, dvpFolder, gradients, force),
            ("clip" or "clip_vision_model", null) => new ForwardRun(backend, inputs).Clip(modelFolder),
            _ => throw new DvpException($"{modelFolder} is a {type} model; this command runs bert, t5, llama, clip and clip_vision_model, and a DVP on bert, t5 and llama."),
        };
    }

    /// <summary>One run: its inputs on the device and its results.</summary>
    private sealed partial class ForwardRun(Backend backend, TensorArchive inputs)
    {
        private readonly TensorArchive _results = new("the results");

        public TensorArchive Bert(string folder, bool gradients)
        {
            using BertFolder files = BertFolder.Open(folder);
            using ParameterSet parameters = new(backend);
            bool head = files.HasMaskedLanguageModelHead && inputs.Contains("labels");
            CheckpointValues values = new(head ? files.MaskedLanguageModel() : files.Encoder());
            ParameterBuilder root = new(parameters, values, _ => gradients);
            BertModel model = new(files.Config, head ? root["bert"] : root, pooler: !head);
            BertMaskedLanguageModelHead? language = head ? new BertMaskedLanguageModelHead(model, root["cls.predictions"]) : null;
            values.Finish(root.Missing);

            using Arena arena = new(backend);
            Graph graph = new(backend, arena, training: gradients);
            Variable ids = Integers(graph, "input_ids");
            Variable mask = Mask(graph, ids, 0);
            Dictionary<string, Variable> states = [];
            Variable h = model.Embed(graph, ids, inputs.Contains("token_type_ids") ? Integers(graph, "token_type_ids") : null);
            states.Add("hidden_states.0", h);
            for (int i = 0; i < model.Layers.Count; i++)
            {
                h = model.Layers[i].Forward(graph, h, mask.Value, null);
                states.Add($"hidden_states.{i + 1}", h);
            }

            states.Add("last_hidden_state", h);
            Tensor? loss = null;
            if (language is not null)
            {
                Variable logits = language.Forward(graph, h);
                states.Add("logits", logits);
                int rows = logits.Value.Rows;
                loss = graph.CrossEntropy(graph.Reshape(logits, rows, logits.Value.Columns), Integers(graph, "labels", rows));
            }
            else
            {
                states.Add("pooler_output", model.Pool(graph, h));
                if (inputs.Contains("cotangent"))
                {
                    graph.Cotangent(h, Floats(graph, "cotangent"));
                }
            }

            Finish(graph, states, loss, h, parameters, gradients);
            return _results;
        }

        public TensorArchive Dvp(string folder, string dvpFolder, bool gradients, bool force)
        {
            DvpConfig config = DvpConfig.Load(dvpFolder);
            TrainingMode mode = config.SearchLayers is not null ? TrainingMode.Search : config.Adapters is null ? TrainingMode.Full : TrainingMode.Adapter;
            using LoadedDvp loaded = LoadedDvp.Load(folder, dvpFolder, backend, new LoadOptions
            {
                Groups = gradients ? new ParameterGroups(mode, config.Adapters is not null) : null,
                Force = force,
            });
            DvpLanguageModel model = loaded.Model;
            if (config.SearchLayers is not null)
            {
                foreach (int layer in model.Candidates)
                {
                    Candidate(loaded, layer, gradients);
                }

                return _results;
            }

            using Arena arena = new(backend);
            Graph graph = new(backend, arena, training: gradients);
            Dictionary<string, Variable> states = [];
            (DvpOutputs outputs, Tensor? loss) = Record(graph, model, config.Layer ?? 0, states);
            Finish(graph, states, loss, null, loaded.Parameters, gradients);
            if (outputs.Attention is { } attention)
            {
                Add("prompt_attention", attention);
            }

            return _results;
        }

        public TensorArchive Clip(string folder)
        {
            using ParameterSet parameters = new(backend);
            ClipVisionModel model = ClipFolder.Load(folder, parameters);
            using Arena arena = new(backend);
            Graph graph = new(backend, arena, training: false);
            Dictionary<string, Variable> states = [];
            model.Forward(graph, Floats(graph, "pixel_values"), states);
            Finish(graph, states, null, null, parameters, gradients: false);
            return _results;
        }

        /// <summary>One candidate of a search: prompt, logits and loss under its number.</summary>
        private void Candidate(LoadedDvp loaded, int layer, bool gradients)
        {
            using Arena arena = new(backend);
            Graph graph = new(backend, arena, training: false);
            Dictionary<string, Variable> states = [];
            (_, Tensor? loss) = Record(graph, loaded.Model, layer, states);
            Run(graph.RunForward);
            Add($"prompt.{layer}", states["prompt"].Value);
            Add($"logits.{layer}", states["logits"].Value);
            if (loss is not null)
            {
                _results.Add($"loss.{layer}", [Values(loss)[0]]);
            }

            if (gradients)
            {
                throw new DvpException("Gradients of a search folder are those of one step's candidate; run without --gradients.");
            }
        }

        private (DvpOutputs Outputs, Tensor? Loss) Record(
            Graph graph, DvpLanguageModel model, int layer, Dictionary<string, Variable> states)
        {
            Variable ids = Integers(graph, "input_ids");
            Variable? features = model.Config.Kind != PromptKind.None ? Floats(graph, "visual_features") : null;
            int prompts = features is null ? 0 : model.MaskedPromptTokens(features.Value.Extent(1));
            StepInputs step = new(
                ids.Value, Mask(graph, ids, 0).Value, null, Mask(graph, ids, prompts).Value, features?.Value, null,
                model.EndToken < 0 ? null : Ends(graph, ids, prompts, model.EndToken));
            DvpOutputs outputs = model.Suffix(graph, model.Prefix(graph, step, layer, states), step, layer, states);
            string wanted = model.Config.Loss == DvpLoss.CrossEntropy ? "labels" : "targets";
            if (!inputs.Contains(wanted))
            {
                return (outputs, null);
            }

            Variable targets = wanted == "labels" ? Integers(graph, wanted) : Floats(graph, wanted);
            return (outputs, model.Loss(graph, outputs.Logits, targets));
        }

        private void Finish(
            Graph graph, Dictionary<string, Variable> states, Tensor? loss, Variable? last, ParameterSet parameters, bool gradients)
        {
            bool cotangent = last is not null && loss is null && inputs.Contains("cotangent");
            if (gradients)
            {
                if (loss is null && !cotangent)
                {
                    throw new DvpException("Gradients need a loss: the inputs must hold labels, targets or cotangent.");
                }

                graph.Backward();
            }

            Run(() =>
            {
                parameters.ZeroGradients();
                graph.RunForward();
                if (gradients)
                {
                    graph.RunBackward();
                }
            });
            foreach ((string name, Variable state) in states)
            {
                Add(name, state.Value);
            }

            if (loss is not null)
            {
                _results.Add("loss", [Values(loss)[0]]);
            }
            else if (cotangent)
            {
                float[] values = Values(last!.Value);
                float[] weights = new float[values.Length];
                inputs.ReadFloats("cotangent", weights);
                double sum = 0;
                for (int i = 0; i < values.Length; i++)
                {
                    sum += (double)values[i] * weights[i];
                }

                _results.Add("loss", [(float)sum]);
            }

            foreach (Parameter parameter in parameters.Trained)
            {
                if (gradients && (graph.Trained.Contains(parameter.Block) || parameter.Name.EndsWith("linear_k.bias", StringComparison.Ordinal)))
                {
                    Add("gradients." + parameter.Name, parameter.Gradient!);
                }
            }
        }

        /// <summary>Work that is run once; as recorded work, so that a device knows the whole of it before it begins.</summary>
        private void Run(Action work)
        {
            using RecordedWork recorded = backend.Record(work);
            recorded.Run();
        }

        private Variable Integers(Graph graph, string name, params ReadOnlySpan<int> shape)
        {
            int[] values = [.. inputs.ReadInt64(name).Select(v => checked((int)v))];
            Variable input = graph.Input(ElementType.I32, shape.Length > 0 ? shape : inputs.ShapeOf(name));
            backend.Upload(input.Value, values);
            return input;
        }

        private Variable Floats(Graph graph, string name)
        {
            Variable input = graph.Input(backend.ActivationType, inputs.ShapeOf(name));
            float[] values = new float[input.Value.Count];
            inputs.ReadFloats(name, values);
            backend.Upload(input.Value, values);
            return input;
        }

        /// <summary>The attention mask with the ones of a prompt before it; all ones where the inputs have none.</summary>
        private Variable Mask(Graph graph, Variable ids, int prompts)
        {
            (int batch, int length) = (ids.Value.Extent(0), ids.Value.Extent(1));
            long[]? given = inputs.Contains("attention_mask") ? inputs.ReadInt64("attention_mask") : null;
            int[] mask = new int[batch * (prompts + length)];
            for (int b = 0; b < batch; b++)
            {
                for (int t = 0; t < prompts + length; t++)
                {
                    mask[(b * (prompts + length)) + t] = t < prompts || given is null ? 1 : (int)given[(b * length) + t - prompts];
                }
            }

            Variable input = graph.Input(ElementType.I32, batch, prompts + length);
            backend.Upload(input.Value, mask);
            return input;
        }

        private void Add(string name, Tensor tensor) => _results.Add(name, Values(tensor), tensor.Shape);

        private float[] Values(Tensor tensor)
        {
            float[] values = new float[tensor.Count];
            backend.Download(values, tensor);
            return values;
        }
    }
}
