using System.Globalization;
using Dvp.Evaluation;

namespace Dvp.Reporting;

/// <summary>Lays a <see cref="RunReport"/> out as one HTML page that needs nothing else: no script, no font, no network.</summary>
internal static partial class ReportHtml
{
    /// <summary>The whole page.</summary>
    public static string Page(RunReport report)
    {
        List<(string Id, string Name, Markup Body)> sections = [];
        Add("accuracy", "Accuracy", Accuracy(report.Accuracy));
        Add("search", "Choice of the layer", Search(report.Search));
        Add("training", "Training", Training(report.Training));
        Add("examples", "Examples", Examples(report.Examples));
        Add("cost", "Cost", Cost(report));
        Add("configuration", "Configuration", Facts(report.Configuration));

        HtmlBuilder html = new();
        html.Add($"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
        html.Add($"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
        html.Add($"<meta http-equiv=\"Content-Security-Policy\" ");
        html.Add($"content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n");
        html.Add($"<title>{report.Title}</title>\n<style>\n{new Markup(ReportStyle.Css)}\n</style>\n</head>\n<body>\n<main>\n");
        html.Add($"<h1>{report.Title}</h1>\n<p class=\"soft\">{report.Created:yyyy-MM-dd HH:mm} UTC{report.Created.Offset switch
        {
            { Ticks: 0 } => "",
            { } o => (o > TimeSpan.Zero ? "+" : "-") + o.ToString("hh\\:mm", CultureInfo.InvariantCulture),
        }}");
        html.Add($"{(report.Preset is null ? "" : $" \u00b7 preset \u201c{report.Preset}\u201d")}</p>\n");
        Tiles(html, report);
        foreach (string finding in report.Findings)
        {
            html.Add($"<p class=\"note\">{finding}</p>\n");
        }

        html.Add($"<nav>");
        foreach ((string id, string name, _) in sections)
        {
            html.Add($"<a href=\"#{id}\">{name}</a>");
        }

        html.Add($"</nav>\n");
        foreach ((string id, string name, Markup body) in sections)
        {
            html.Add($"<h2 id=\"{id}\">{name}</h2>\n{body}");
        }

        html.Add($"<footer>Intervals are 95 % percentile bootstraps over questions; they do not count the training seed.</footer>\n");
        return html.Add($"</main>\n</body>\n</html>\n").ToString();

        void Add(string id, string name, Markup body)
        {
            if (!string.IsNullOrEmpty(body.Text))
            {
                sections.Add((id, name, body));
            }
        }
    }

    private static void Tiles(HtmlBuilder html, RunReport report)
    {
        html.Add($"<div class=\"tiles\">\n");
        if (report.Accuracy is { } accuracy)
        {
            for (int i = 0; i < accuracy.Systems.Count; i++)
            {
                SystemAccuracy s = accuracy.Systems[i];
                html.Add($"<div class=\"tile{(i == 0 ? " main" : "")}\"><span>{s.Name}</span><b>{s.Accuracy.Mean:0.0} %</b>");
                html.Add($"<span>{s.Accuracy.Low:0.0} to {s.Accuracy.High:0.0}</span></div>\n");
            }
        }

        if (report.Search is { } search)
        {
            html.Add($"<div class=\"tile\"><span>Layer K</span><b>{search.Layer}</b><span>{search.Algorithm}{search.BeyondChance switch
            {
                true => ", beyond chance",
                false => ", not beyond chance",
                null => "",
            }}</span></div>\n");
        }

        if (report.Phases.Count > 0)
        {
            html.Add($"<div class=\"tile\"><span>Time</span><b>{report.Phases.Sum(p => p.Seconds):0.0} s</b>");
            html.Add($"<span>{report.Phases.Count} phases</span></div>\n");
        }

        html.Add($"</div>\n");
    }

    private static Markup Accuracy(AccuracyReport? accuracy)
    {
        if (accuracy is null || accuracy.Systems.Count == 0)
        {
            return default;
        }

        (string, string)[] series = [.. accuracy.Systems.Select((s, i) => (s.Name, SvgChart.Colour(i)))];
        HtmlBuilder html = new();
        html.Add($"<p class=\"soft\">{accuracy.Questions:N0} questions of the split \u201c{accuracy.Split}\u201d, ");
        html.Add($"each counted once.</p>\n");
        html.Add($"<div class=\"pair\">");
        Card(html, null, SvgChart.Intervals(
            "accuracy, %",
            [
                ("all questions", [.. accuracy.Systems.Select(s => s.Accuracy)]),
                .. accuracy.ByType.Select(t => (t.Type, t.Systems)),
            ],
            series));
        html.Add($"<div class=\"card scroll\"><table><tr><th>question type</th><th>n</th>");
        foreach ((string name, _) in series)
        {
            html.Add($"<th>{name}</th>");
        }

        html.Add($"</tr>\n");
        foreach (TypeAccuracy type in accuracy.ByType)
        {
            Row(type.Type, type.Count, type.Systems, "");
        }

        Row("all", accuracy.Questions, [.. accuracy.Systems.Select(s => s.Accuracy)], "sum");
        return html.Add($"</table></div></div>\n").ToMarkup();

        void Row(string type, int count, IReadOnlyList<Interval> values, string kind)
        {
            html.Add($"<tr class=\"{kind}\"><td>{type}</td><td>{count:N0}</td>");
            foreach (Interval v in values)
            {
                html.Add($"<td>{v.Mean:0.0}<br><small>{v.Low:0.0} to {v.High:0.0}</small></td>");
            }

            html.Add($"</tr>\n");
        }
    }

    private static Markup Search(SearchReport? search)
    {
        if (search is null)
        {
            return default;
        }

        HtmlBuilder html = new();
        html.Add($"<p>{search.Algorithm} chose layer {search.Layer}.</p>\n");
        if (search.Finding is not null)
        {
            html.Add($"<p class=\"note\">{search.Finding}</p>\n");
        }

        html.Add($"<div class=\"pair\">");
        if (search.Preferences.Count > 0)
        {
            int layers = search.Preferences[0].Alpha.Count;
            Card(html, "Preference \u03b1 by step", SvgChart.Lines(
                "step",
                "\u03b1",
                [.. Enumerable.Range(0, layers).Select(l => new ChartLine(
                    $"layer {l}",
                    [.. search.Preferences.Select(p => new CurvePoint(p.Step, p.Alpha[l]))],
                    SvgChart.Ramp(l, layers),
                    l == search.Layer ? 3 : 1.4))]));
        }

        if (search.Rewards.Count > 0)
        {
            Card(html, "Mean reward by layer", SvgChart.Bars(
                "score less the step's mean, points",
                [.. search.Rewards.Select(r => ($"layer {r.Layer}", r.MeanReward, SvgChart.Ramp(r.Layer, search.Rewards.Count)))],
                "+0.00;-0.00;0.00"));
        }

        html.Add($"</div>\n");
        Rewards(html, search);
        Exhaustive(html, search);
        return html.ToMarkup();
    }

    private static void Rewards(HtmlBuilder html, SearchReport search)
    {
        if (search.Rewards.Count == 0)
        {
            return;
        }

        html.Add($"<div class=\"card scroll\"><table><tr><th>layer</th><th>times scored</th><th>mean score, %</th><th>mean reward</th>");
        html.Add($"<th>final probability</th></tr>\n");
        foreach (LayerReward r in search.Rewards)
        {
            html.Add($"<tr class=\"{(r.Layer == search.Layer ? "chosen" : "")}\"><td>{r.Layer}</td><td>{r.Draws:N0}</td>");
            html.Add($"<td>{r.MeanScore:0.0}</td><td>{r.MeanReward:+0.00;-0.00;0.00}</td><td>{r.Probability:0.000}</td></tr>\n");
        }

        html.Add($"</table></div>\n");
    }

    private static void Exhaustive(HtmlBuilder html, SearchReport search)
    {
        if (search.Exhaustive.Count == 0)
        {
            return;
        }

        html.Add($"<h3 style=\"margin-top:22px\">Every layer trained and measured</h3>\n");
        if (search.ExhaustiveFinding is not null)
        {
            html.Add($"<p class=\"note\">{search.ExhaustiveFinding}</p>\n");
        }

        html.Add($"<div class=\"pair\">");
        Card(html, null, SvgChart.Intervals(
            "accuracy, %",
            [.. search.Exhaustive.Select(l => ($"layer {l.Layer}", (IReadOnlyList<Interval>)[l.Accuracy]))],
            [("accuracy", SvgChart.Colour(0))]));
        html.Add($"<div class=\"card scroll\"><table><tr><th>layer</th><th>accuracy, %</th><th>95 % interval</th><th>leads in</th></tr>\n");
        foreach (LayerResult l in search.Exhaustive)
        {
            html.Add($"<tr class=\"{(l.Layer == search.Layer ? "chosen" : "")}\"><td>{l.Layer}</td><td>{l.Accuracy.Mean:0.0}</td>");
            html.Add($"<td>{l.Accuracy.Low:0.0} to {l.Accuracy.High:0.0}</td><td>{100 * l.LeadShare:0} % of resamples</td></tr>\n");
        }

        html.Add($"</table></div></div>\n");
    }

    private static Markup Training(TrainingReport? training)
    {
        if (training is null || training.Loss.Count + training.Accuracy.Count == 0)
        {
            return default;
        }

        HtmlBuilder html = new();
        html.Add($"<div class=\"pair\">");
        Card(html, "Loss", SvgChart.Lines("step", "loss", [.. training.Loss.SelectMany(Smoothed)]));
        Card(html, "Accuracy on held-out questions", SvgChart.Lines(
            "step", "accuracy, %", [.. training.Accuracy.Select((c, i) => new ChartLine(c.Name, c.Points, SvgChart.Colour(i)))]));
        return html.Add($"</div>\n").ToMarkup();
    }

    /// <summary>A long curve as a pale line with its moving mean over it.</summary>
    private static IEnumerable<ChartLine> Smoothed(Curve curve, int series)
    {
        CurvePoint[] points = [.. curve.Points.Where(p => double.IsFinite(p.Value))];
        string colour = SvgChart.Colour(series);
        int window = points.Length / 40;
        if (window < 3)
        {
            yield return new ChartLine(curve.Name, points, colour);
            yield break;
        }

        yield return new ChartLine(null, points, colour, 1, 0.3);
        yield return new ChartLine(
            string.Create(CultureInfo.InvariantCulture, $"{curve.Name} (mean of {window})"),
            [.. Enumerable.Range(0, points.Length - window + 1).Select(i => new CurvePoint(
                points[i + (window / 2)].Step, points.AsSpan(i, window).ToArray().Average(p => p.Value)))],
            colour);
    }

    private static void Card(HtmlBuilder html, string? title, Markup body)
    {
        if (!string.IsNullOrEmpty(body.Text))
        {
            html.Add($"<div class=\"card\">");
            html.Add(title is null ? default : new HtmlBuilder().Add($"<h3>{title}</h3>").ToMarkup());
            html.Add($"{body}</div>\n");
        }
    }
}
