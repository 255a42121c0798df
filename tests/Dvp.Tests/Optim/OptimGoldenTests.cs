using System.Text.Json;
using Dvp.Engine;
using Dvp.Engine.Optim;
using Xunit;

namespace Dvp.Tests.Optim;

/// <summary>Schedules, groups and AdamW against what the published code's optimiser recorded.</summary>
public sealed class OptimGoldenTests
{
    [Fact]
    public void Schedules_give_the_published_rates()
    {
        using JsonDocument document = Read("schedules.json");
        int count = 0;
        foreach (JsonElement c in document.RootElement.GetProperty("cases").EnumerateArray())
        {
            int steps = c.GetProperty("max_steps").GetInt32();
            int warmup = LearningRateSchedule.WarmupSteps(c.GetProperty("warmup").GetDouble(), steps);
            Assert.Equal(c.GetProperty("warmup_steps").GetInt32(), warmup);
            double rate = c.GetProperty("learning_rate").GetDouble();
            LearningRateSchedule schedule = c.GetProperty("schedule").GetString() switch
            {
                "constant" => LearningRateSchedule.Constant(rate, warmup),
                "cosine" => LearningRateSchedule.Cosine(rate, steps, warmup),
                _ => LearningRateSchedule.Polynomial(
                    rate, steps, warmup, c.GetProperty("power").GetDouble(),
                    c.GetProperty("end_learning_rate").GetDouble()),
            };
            double multiplier = c.GetProperty("head_multiplier").GetDouble();
            double[] expected = Numbers(c.GetProperty("base"));
            double[] head = Numbers(c.GetProperty("head"));
            Assert.True(expected.Length > steps);
            for (int step = 0; step < expected.Length; step++)
            {
                Assert.Equal(expected[step], schedule.At(step), 1e-15);
                Assert.Equal(head[step], multiplier * schedule.At(step), 1e-15);
            }

            count++;
        }

        Assert.Equal(9, count);
    }

    [Fact]
    public void The_ScienceQA_schedule_gives_the_published_rates()
    {
        using JsonDocument document = Read("scienceqa-schedule.json");
        int count = 0;
        foreach (JsonElement c in document.RootElement.GetProperty("cases").EnumerateArray())
        {
            LearningRateSchedule schedule = LearningRateSchedule.CosineByEpoch(
                c.GetProperty("lr").GetDouble(), c.GetProperty("epochs").GetDouble(),
                c.GetProperty("warmup_epochs").GetDouble(), c.GetProperty("min_lr").GetDouble());
            foreach (JsonElement point in c.GetProperty("points").EnumerateArray())
            {
                Assert.Equal(point[1].GetDouble(), schedule.At(point[0].GetDouble()), 1e-15);
                count++;
            }
        }

        Assert.True(count >= 40, $"only {count} points");
    }

    [Fact]
    public void A_negative_rate_is_refused() => Assert.Throws<DvpException>(() => LearningRateSchedule.Constant(-1));

    [Theory]
    [InlineData("bert-adapter", TrainingMode.Adapter)]
    [InlineData("bert-full", TrainingMode.Full)]
    [InlineData("bert-search", TrainingMode.Search)]
    [InlineData("t5-adapter", TrainingMode.Adapter)]
    [InlineData("t5-full", TrainingMode.Full)]
    [InlineData("t5-search", TrainingMode.Search)]
    [InlineData("llama-adapter", TrainingMode.Adapter)]
    [InlineData("llama-full", TrainingMode.Full)]
    [InlineData("llama-search", TrainingMode.Search)]
    public void Groups_are_the_published_ones(string name, TrainingMode mode)
    {
        using JsonDocument document = Read($"groups-{name}.json");
        JsonElement settings = document.RootElement.GetProperty("settings");
        float decay = settings.GetProperty("weight_decay").GetSingle();
        ParameterGroups groups = new(mode) { HeadMultiplier = settings.GetProperty("lr_mult").GetSingle(), WeightDecay = decay };
        int count = 0;
        foreach (JsonProperty property in document.RootElement.GetProperty("parameters").EnumerateObject())
        {
            (string parameter, JsonElement p) = (property.Name, property.Value);
            ParameterGroup expected = new(
                p.GetProperty("trainable").GetBoolean(),
                p.GetProperty("learning_rate_multiplier").GetSingle(),
                p.GetProperty("decay").GetBoolean() ? decay : 0);
            Assert.True(
                expected == groups.Of(parameter, p.GetProperty("shape").GetArrayLength()),
                $"{parameter}: {groups.Of(parameter, 1)}, expected {expected}");
            count++;
        }

        Assert.True(count > 20, $"only {count} parameters");
    }

    [Fact]
    public void Modes_freeze_what_they_say()
    {
        ParameterGroups text = new(TrainingMode.TextOnly);
        Assert.True(text.Trains("encoder.layer.0.attention.self.query.weight"));
        Assert.True(text.Trains("head.0.weight"));
        Assert.False(text.Trains("prompt.linear_q.weight"));
        Assert.False(text.Trains("token_type_embeddings.weight"));
        Assert.True(text.Trains("embeddings.token_type_embeddings.weight"));

        ParameterGroups llamaSearch = new(TrainingMode.Search, adapters: true);
        Assert.True(llamaSearch.Trains("search.3.prompt.linear_q.weight"));
        Assert.True(llamaSearch.Trains("adapters.0.down.weight"));
        Assert.True(llamaSearch.Trains("model.norm.weight"));
        Assert.False(llamaSearch.Trains("model.layers.0.mlp.up_proj.weight"));

        ParameterGroups scienceQa = new(TrainingMode.Adapter) { TrainNorms = false, DecayRule = DecayRule.ByShape, WeightDecay = 0.05f };
        Assert.False(scienceQa.Trains("model.norm.weight"));
        Assert.Equal(new ParameterGroup(true, 1, 0), scienceQa.Of("image_params", 1));
        Assert.Equal(new ParameterGroup(true, 1, 0.05f), scienceQa.Of("adapters.0.down.weight", 2));
        Assert.Equal(new ParameterGroup(true, 1, 0), scienceQa.Of("adapters.0.down.bias", 1));

        Assert.True(new ParameterGroups(TrainingMode.Adapter).Trains("visual_projection.weight")); // the baselines' linear map
        Assert.False(new ParameterGroups(TrainingMode.Full).Trains("vision_model.encoder.layers.0.mlp.fc1.weight"));
        Assert.Throws<DvpException>(() => new ParameterGroups(TrainingMode.Adapter, adapters: false));
        Assert.Throws<DvpException>(() => new ParameterGroups(TrainingMode.Full, adapters: true));
    }

    [Theory]
    [InlineData("adaption")]
    [InlineData("strong-decay")]
    [InlineData("missing-gradients")]
    [InlineData("scienceqa-torch")]
    public void The_reference_AdamW_takes_the_published_steps(string name)
    {
        using JsonDocument document = Read($"adamw-{name}.json");
        JsonElement optimiser = document.RootElement.GetProperty("optimiser");
        double[] betas = Numbers(optimiser.GetProperty("betas"));
        AdamWReference reference = new(
            betas[0], betas[1], optimiser.GetProperty("eps").GetDouble(), optimiser.TryGetProperty("torch", out _));
        foreach (JsonElement t in document.RootElement.GetProperty("tensors").EnumerateArray())
        {
            reference.Add(
                t.GetProperty("name").GetString()!,
                Numbers(t.GetProperty("initial")),
                t.GetProperty("learning_rate_multiplier").GetDouble(),
                t.GetProperty("weight_decay").GetDouble());
        }

        Dictionary<string, int> updates = [];
        foreach (JsonElement step in document.RootElement.GetProperty("steps").EnumerateArray())
        {
            Dictionary<string, double[]> gradients = step.GetProperty("gradients").EnumerateObject()
                .ToDictionary(g => g.Name, g => Numbers(g.Value));
            foreach (string tensor in gradients.Keys)
            {
                updates[tensor] = updates.GetValueOrDefault(tensor) + 1;
            }

            reference.Step(step.GetProperty("learning_rate").GetDouble(), gradients);
            foreach (JsonProperty after in step.GetProperty("after").EnumerateObject())
            {
                double[] expected = Numbers(after.Value);
                double[] actual = reference.Value(after.Name);
                Assert.Equal(expected.Length, actual.Length);
                for (int i = 0; i < expected.Length; i++)
                {
                    Assert.Equal(expected[i], actual[i], 1e-12 * Math.Max(1, Math.Abs(expected[i])));
                }
            }
        }

        Assert.All(reference.Names, n => Assert.Equal(updates.GetValueOrDefault(n), reference.UpdateCount(n)));
    }

    [Fact]
    public void Zeroed_missing_gradients_let_momentum_and_decay_go_on()
    {
        AdamWReference skipped = new(0.9, 0.98, 1e-8);
        AdamWReference zeroed = new(0.9, 0.98, 1e-8, zeroMissing: true);
        AdamWReference explicitZeros = new(0.9, 0.98, 1e-8);
        Dictionary<string, double[]> none = [];
        Dictionary<string, double[]> gradient = new() { ["p"] = [0.5, -2] };
        foreach (AdamWReference reference in new[] { skipped, zeroed, explicitZeros })
        {
            reference.Add("p", [1.0, -1.0], decay: 0.1);
            reference.Step(0.01, none); // before its first gradient nothing moves it, zeroed or not
            reference.Step(0.01, gradient);
        }

        double[] once = [.. skipped.Value("p")];
        skipped.Step(0.01, none);
        zeroed.Step(0.01, none);
        explicitZeros.Step(0.01, new Dictionary<string, double[]> { ["p"] = [0, 0] });
        Assert.Equal(once, skipped.Value("p"));
        Assert.NotEqual(once[0], zeroed.Value("p")[0]);
        Assert.Equal(explicitZeros.Value("p"), zeroed.Value("p"));
        Assert.Equal((1, 2), (skipped.UpdateCount("p"), zeroed.UpdateCount("p")));
    }

    private static JsonDocument Read(string name) => JsonDocument.Parse(File.ReadAllText(Fixtures.Path("optim/" + name)));

    private static double[] Numbers(JsonElement array) => [.. array.EnumerateArray().Select(v => v.GetDouble())];
}
