using Dvp.Engine;
using Dvp.Engine.Devices;
using Dvp.Engine.Nn;
using Dvp.Engine.Optim;
using Dvp.Prompting;
using Dvp.Training;

namespace Dvp.Profiling;

public sealed partial class Bench
{
    private const int TimedPasses = 10;

    /// <summary>The forward pass from cached features and the training step with adapters, and the operators of both.</summary>
    private void MeasureModels(Backend backend, int threads)
    {
        DvpConfig sizes = _options.Dvp ?? FlopsComparison.PaperDvp(_options.Bert, FlopsComparison.ClipBase, labels: 3129);
        DvpConfig config = sizes with { Layer = _options.Layer };
        FlopsSettings flops = new()
        {
            Bert = _options.Bert,
            Dvp = config,
            Layer = _options.Layer,
            TextTokens = _options.TextTokens,
            VisualTokens = _options.VisualTokens,
        };
        using (RandomModel model = new(backend, _options, config, groups: null))
        {
            foreach (int batch in _options.Batches)
            {
                MeasurePeak(threads);
                Measure(
                    "forward", Text($"DVP forward from cached features, batch {batch}"), threads,
                    FlopsModel.Count(flops with { Batch = batch }).ForwardFlops, () => model.ForwardWork(batch), model.Forward(batch));
            }
        }

        ParameterGroups groups = new(config.Adapters is null ? TrainingMode.Full : TrainingMode.Adapter, config.Adapters is not null);
        using (RandomModel model = new(backend, _options, config, groups))
        {
            MeasurePeak(threads);
            Measure(
                "training", Text($"DVP training step, batch {_options.TrainingBatch}"), threads,
                FlopsModel.Count(flops with { Batch = _options.TrainingBatch, Training = true }).Flops, model.TrainingWork, model.TrainingStep());
        }

        if (_gpu is not null)
        {
            return; // waiting for each operator would time the waiting
        }

        TimedBackend timed = new(backend);
        using (RandomModel model = new(timed, _options, config, groups: null))
        {
            foreach (int batch in _options.Batches)
            {
                Operators(timed, Text($"forward, batch {batch}"), model.Forward(batch));
            }
        }

        using (RandomModel model = new(timed, _options, config, groups))
        {
            Operators(timed, Text($"training step, batch {_options.TrainingBatch}"), model.TrainingStep());
        }
    }

    private void Operators(TimedBackend timed, string name, Action pass)
    {
        _options.OnRow?.Invoke(name + ", by operator");
        pass();
        pass();
        timed.Reset();
        for (int i = 0; i < TimedPasses; i++)
        {
            pass();
        }

        OperatorTime[] times = [.. timed.Times.Select(t => t with { Calls = t.Calls / TimedPasses, Seconds = t.Seconds / TimedPasses })];
        double all = times.Sum(t => t.Seconds);
        _passes.Add(new BenchPass(name, times, times.Where(t => !TimedBackend.IsProduct(t.Name)).Sum(t => t.Seconds) / all));
    }

    /// <summary>A DVP model of given sizes with random weights, questions and pictures.</summary>
    private sealed class RandomModel : IDisposable
    {
        private const int Examples = 256;
        private readonly Backend _backend;
        private readonly BenchOptions _options;
        private readonly DvpConfig _config;
        private readonly ParameterSet _parameters;
        private readonly DvpBert _model;
        private readonly TrainingSet _set;
        private readonly ParameterGroups? _groups;
        private readonly StepGraphs _graphs;
        private StepRunner? _runner;

        public RandomModel(Backend backend, BenchOptions options, DvpConfig config, ParameterGroups? groups)
        {
            (_backend, _options, _config, _groups) = (backend, options, config, groups);
            _parameters = new ParameterSet(backend);
            ParameterBuilder builder = new(_parameters, new RandomValues(), name => groups?.Trains(name) ?? false);
            _model = new DvpBert(config, options.Bert, builder, new InitialValues(Seed: 1));
            _set = Questions();
            _graphs = new StepGraphs(_model, backend, options.VisualTokens);
        }

        /// <summary>One forward pass: questions and features to the device, logits back.</summary>
        public Action Forward(int batch)
        {
            Predictor predictor = new(_model, _graphs, batch);
            TrainingSet some = _set.Subset(Some(batch));
            return () =>
            {
                predictor.Logits(some, _options.Layer);
                _backend.Synchronize();
            };
        }

        /// <summary>The recorded work of such a pass, with its inputs on the device.</summary>
        public RecordedWork ForwardWork(int batch) => new Predictor(_model, _graphs, batch).Prepare(_set, Some(batch), _options.Layer);

        /// <summary>One optimiser step after the other.</summary>
        public Action TrainingStep()
        {
            int step = 0;
            return () =>
            {
                Runner.Step(step++, _options.Layer);
                _backend.Synchronize();
            };
        }

        /// <summary>The recorded work of a step, with its inputs on the device.</summary>
        public RecordedWork TrainingWork() => Runner.PrepareStep(0, _options.Layer);

        public void Dispose()
        {
            _runner?.Dispose();
            _graphs.Dispose();
            _parameters.Dispose();
        }

        private StepRunner Runner => _runner ??= new StepRunner(
            _model, _parameters, _set, new TrainerSettings { Steps = 1 << 20, Batch = _options.TrainingBatch, LearningRate = 1e-6, Warmup = 0 }, _groups!);

        private static int[] Some(int batch) => [.. Enumerable.Range(0, batch).Select(i => i % Examples)];

        private TrainingSet Questions()
        {
            SeededRandom random = new(2);
            int[][] tokens = new int[Examples][];
            for (int e = 0; e < Examples; e++)
            {
                tokens[e] = new int[_options.TextTokens];
                for (int t = 0; t < tokens[e].Length; t++)
                {
                    tokens[e][t] = random.NextInt(_options.Bert.VocabularySize);
                }
            }

            float[] certain = [1];
            float[] values = new float[_options.VisualTokens * _config.Prompt.VisualSize];
            random.FillUniform(values, -1, 1);
            return new TrainingSet(
                new SamePicture(_options.VisualTokens, _config.Prompt.VisualSize, values),
                _config.Head.Labels,
                tokens,
                new int[Examples],
                [.. Enumerable.Range(0, Examples).Select(e => new[] { e % _config.Head.Labels })],
                [.. Enumerable.Repeat(certain, Examples)]);
        }
    }

    private sealed class SamePicture(int tokens, int channels, float[] values) : IVisualFeatures
    {
        public int Tokens => tokens;

        public int Channels => channels;

        public void Read(int row, Span<float> destination) => values.CopyTo(destination);
    }

    /// <summary>Small random matrices, norms of 1, biases of 0: as a trained model, far from overflow and from subnormal numbers.</summary>
    private sealed class RandomValues : IParameterValues
    {
        private const int Block = 65521; // a prime, so that rows of a matrix differ

        public bool TryRead(string name, ReadOnlySpan<int> shape, Span<float> destination)
        {
            if (shape.Length == 1)
            {
                destination.Fill(name.EndsWith("weight", StringComparison.Ordinal) ? 1 : 0);
            }
            else
            {
                // One block of draws, repeated: as random as a product can tell, and drawn in no time for any size.
                Span<float> block = destination[..Math.Min(destination.Length, Block)];
                new SeededRandom((ulong)name.Length, (uint)destination.Length).FillNormal(block, 0, 0.02);
                for (int start = block.Length; start < destination.Length; start += block.Length)
                {
                    block[..Math.Min(block.Length, destination.Length - start)].CopyTo(destination[start..]);
                }
            }

            return true;
        }
    }
}
