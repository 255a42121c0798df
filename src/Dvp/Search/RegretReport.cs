using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Dvp.Search;

/// <summary>Regret against steps for each strategy.</summary>
/// <param name="Settings">What was run.</param>
/// <param name="Curves">One a strategy.</param>
public sealed record RegretReport(RegretSettings Settings, IReadOnlyList<RegretCurve> Curves)
{
    /// <summary>
    /// The curves as a text table: for each checkpoint and strategy the simple regret in points and the share of searches at the
    /// best layer.
    /// </summary>
    public string ToText()
    {
        StringBuilder text = new();
        double[] sorted = [.. Settings.Means.OrderDescending()];
        text.Append(CultureInfo.InvariantCulture, $"{sorted.Length} layers, best {100 * sorted[0]:F1} %");
        text.Append(sorted.Length > 1 ? string.Create(CultureInfo.InvariantCulture, $", next {100 * sorted[1]:F1} %") : string.Empty);
        text.Append(CultureInfo.InvariantCulture,
            $"; batches of {Settings.BatchSize}, {Settings.Samples} scores a step, {Settings.Repetitions} searches\n");
        text.Append("regret of the layer chosen, in points (standard error), and share of searches at the best layer\n");
        text.Append(CultureInfo.InvariantCulture, $"{"steps",6}");
        foreach (RegretCurve curve in Curves)
        {
            text.Append(CultureInfo.InvariantCulture, $" | {curve.Strategy,-20}");
        }

        text.Append('\n');
        for (int i = 0; i < Curves[0].Points.Count; i++)
        {
            text.Append(CultureInfo.InvariantCulture, $"{Curves[0].Points[i].Step,6}");
            foreach (RegretCurve curve in Curves)
            {
                RegretPoint p = curve.Points[i];
                text.Append(CultureInfo.InvariantCulture, $" | {p.SimpleRegret,6:F2} ({p.StandardError,4:F2}) {100 * p.BestShare,4:F0} %");
            }

            text.Append('\n');
        }

        text.Append("mean regret of a score, in points\n").Append(CultureInfo.InvariantCulture, $"{Settings.Steps,6}");
        foreach (RegretCurve curve in Curves)
        {
            text.Append(CultureInfo.InvariantCulture, $" | {curve.Points[^1].MeanScoreRegret,6:F2}{string.Empty,14}");
        }

        return text.Append('\n').ToString();
    }

    /// <summary>Writes settings and curves as a JSON object.</summary>
    /// <param name="writer">Where to.</param>
    public void WriteJson(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteStartArray("means");
        foreach (double mean in Settings.Means)
        {
            writer.WriteNumberValue(mean);
        }

        writer.WriteEndArray();
        writer.WriteNumber("batch_size", Settings.BatchSize);
        writer.WriteNumber("samples", Settings.Samples);
        writer.WriteNumber("repetitions", Settings.Repetitions);
        writer.WriteNumber("seed", Settings.Seed);
        writer.WriteStartArray("curves");
        foreach (RegretCurve curve in Curves)
        {
            writer.WriteStartObject();
            writer.WriteString("strategy", curve.Strategy);
            writer.WriteStartArray("points");
            foreach (RegretPoint point in curve.Points)
            {
                writer.WriteStartObject();
                writer.WriteNumber("step", point.Step);
                writer.WriteNumber("scores", point.Scores);
                writer.WriteNumber("simple_regret", point.SimpleRegret);
                writer.WriteNumber("standard_error", point.StandardError);
                writer.WriteNumber("best_share", point.BestShare);
                writer.WriteNumber("mean_score_regret", point.MeanScoreRegret);
                writer.WriteEndObject();
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }
}
