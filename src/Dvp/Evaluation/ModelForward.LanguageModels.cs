using Dvp.Engine;
using Dvp.Engine.Autograd;
using Dvp.Engine.IO;
using Dvp.Engine.Nn;
using Dvp.Engine.Tensors;
using Dvp.Models.Llama;
using Dvp.Models.T5;
using Dvp.Prompting;

namespace Dvp.Evaluation;

// T5 and LLaMA by themselves, with their language-model heads.
public static partial class ModelForward
{
    private sealed partial class ForwardRun
    {
        private const int IgnoredLabel = -100;

        public TensorArchive T5(string folder, bool gradients)
        {
            using T5Folder files = T5Folder.Open(folder);
            using ParameterSet parameters = new(backend);
            CheckpointValues values = new(files.Weights(languageModel: true));
            ParameterBuilder root = new(parameters, values, _ => gradients);
            T5Model model = new(files.Config, root, files.HasOwnHead);
            values.Finish(root.Missing);

            using Arena arena = new(backend);
            Graph graph = new(backend, arena, training: gradients);
            Dictionary<string, Variable> states = [];
            Variable ids = Integers(graph, "input_ids");
            Tensor mask = Mask(graph, ids, 0).Value;
            Variable bias = model.EncoderBias(graph, ids.Value.Extent(1));
            Variable h = model.Embed(graph, ids);
            for (int i = 0; i < model.Encoder.Count; i++)
            {
                states.Add($"encoder_hidden_states.{i}", h);
                h = model.Encoder[i].Forward(graph, h, mask, bias, adapters: null);
            }

            states.Add("encoder_last_block", h);
            Variable encoder = model.FinishEncoder(graph, h);
            states.Add($"encoder_hidden_states.{model.Encoder.Count}", encoder);

            Variable decoderIds = inputs.Contains("decoder_input_ids")
                ? Integers(graph, "decoder_input_ids")
                : ShiftedRight(graph, files.Config.StartId);
            bias = model.DecoderBias(graph, decoderIds.Value.Extent(1));
            h = model.Embed(graph, decoderIds);
            for (int i = 0; i < model.Decoder.Count; i++)
            {
                states.Add($"decoder_hidden_states.{i}", h);
                h = model.Decoder[i].Forward(graph, h, encoder, mask, bias, causal: true, adapters: null);
            }

            states.Add("decoder_last_block", h);
            h = model.FinishDecoder(graph, h);
            states.Add($"decoder_hidden_states.{model.Decoder.Count}", h);
            Variable logits = model.Logits(graph, h);
            states.Add("logits", logits);
            Tensor? loss = inputs.Contains("labels") ? LabelLoss(graph, logits, Labels()) : null;
            Finish(graph, states, loss, null, parameters, gradients);
            return _results;
        }

        public TensorArchive Llama(string folder, bool gradients)
        {
            using LlamaFolder files = LlamaFolder.Open(folder);
            using ParameterSet parameters = new(backend);
            CheckpointValues values = new(files.Weights(languageModel: true));
            ParameterBuilder root = new(parameters, values, _ => gradients);
            LlamaModel model = new(files.Config, root, ownHead: !files.Config.Tied);
            values.Finish(root.Missing);

            using Arena arena = new(backend);
            Graph graph = new(backend, arena, training: gradients);
            Dictionary<string, Variable> states = [];
            Variable ids = Integers(graph, "input_ids");
            (int batch, int length) = (ids.Value.Extent(0), ids.Value.Extent(1));
            Tensor mask = Mask(graph, ids, 0).Value;
            Rotation positions = model.Positions(graph, batch, length);
            Variable h = model.Embed(graph, ids);
            for (int i = 0; i < model.Layers.Count; i++)
            {
                states.Add($"hidden_states.{i}", h);
                h = model.Layers[i].Forward(graph, h, mask, positions, adapters: null);
            }

            states.Add("last_block", h);
            h = model.Finish(graph, h);
            states.Add($"hidden_states.{model.Layers.Count}", h);
            Variable logits = model.Logits(graph, h);
            states.Add("logits", logits);
            Tensor? loss = inputs.Contains("labels") ? LabelLoss(graph, logits, NextLabels(length)) : null;
            Finish(graph, states, loss, null, parameters, gradients);
            if (positions.Frequencies is { } frequencies)
            {
                Add("inv_freq", frequencies);
            }

            return _results;
        }

        private static Tensor LabelLoss(Graph graph, Variable logits, int[] labels)
        {
            int rows = logits.Value.Rows;
            if (labels.Length != rows)
            {
                throw new DvpException($"labels has {labels.Length} values, and the model makes {rows} rows of logits; give one label for each.");
            }

            return graph.CrossEntropy(
                graph.Reshape(logits, rows, logits.Value.Columns), graph.Integers(labels, rows), IgnoredLabel);
        }

        private int[] Labels() => [.. inputs.ReadInt64("labels").Select(v => checked((int)v))];

        /// <summary>The label of every position is the next one's; the last position has none.</summary>
        private int[] NextLabels(int length)
        {
            int[] labels = Labels();
            int[] next = new int[labels.Length];
            for (int i = 0; i < labels.Length; i++)
            {
                next[i] = i % length == length - 1 ? IgnoredLabel : labels[i + 1];
            }

            return next;
        }

        /// <summary>The decoder's input for given labels: the start token, then all labels but the last; padding where a label is ignored.</summary>
        private Variable ShiftedRight(Graph graph, int start)
        {
            if (!inputs.Contains("labels"))
            {
                throw new DvpException("T5 needs decoder_input_ids, or labels to make them from.");
            }

            ReadOnlySpan<int> shape = inputs.ShapeOf("labels");
            int[] labels = Labels();
            int[] ids = new int[labels.Length];
            for (int i = 0; i < ids.Length; i++)
            {
                ids[i] = i % shape[^1] == 0 ? start : Math.Max(labels[i - 1], 0);
            }

            return graph.Integers(ids, shape);
        }

        /// <summary>Where the texts end.</summary>
        private Tensor Ends(Graph graph, Variable ids, int prompts, int endToken)
        {
            (int batch, int length) = (ids.Value.Extent(0), ids.Value.Extent(1));
            int[] tokens = [.. inputs.ReadInt64("input_ids").Select(v => checked((int)v))];
            int[] table = new int[TextEnds.TableRows * batch];
            for (int b = 0; b < batch; b++)
            {
                TextEnds.Write(table, batch, b, tokens.AsSpan(b * length, length), length, prompts, endToken);
            }

            return graph.Integers(table, TextEnds.TableRows, batch).Value;
        }
    }
}
