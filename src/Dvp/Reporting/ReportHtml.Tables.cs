using System.Globalization;

namespace Dvp.Reporting;

/// <summary>Examples, cost and configuration.</summary>
internal static partial class ReportHtml
{
    private static Markup Examples(IReadOnlyList<ReportExample> examples)
    {
        if (examples.Count == 0)
        {
            return default;
        }

        HtmlBuilder html = new();
        if (examples.Any(e => e.Attention is not null))
        {
            html.Add($"<p class=\"soft\">Right: where the prompt looked, mean over the heads; brighter is more. ");
            html.Add($"Point at it to see the picture alone.</p>\n");
        }

        html.Add($"<div class=\"examples\">\n");
        foreach (ReportExample example in examples)
        {
            html.Add($"<div class=\"card\">");
            if (example.Picture is { } picture)
            {
                html.Add($"<div class=\"views\"><img src=\"{picture.DataUri()}\" alt=\"Picture\">");
                html.Add(example.Attention is { } grid ? new Markup(HeatMap.Svg(grid, picture)) : default);
                html.Add($"</div>");
            }

            html.Add($"<p class=\"question\">{example.Question}</p><table class=\"answers\">");
            foreach (AnswerProbability a in example.Answers)
            {
                string kind = example.TrueAnswer is null ? "" : a.Answer == example.TrueAnswer ? "right" : "wrong";
                html.Add($"<tr><td class=\"{(a == example.Answers[0] || kind == "right" ? kind : "")}\">{a.Answer}</td>");
                html.Add($"<td>{100 * a.Probability:0.0} %</td><td class=\"graph\"><span class=\"bar\" ");
                html.Add($"style=\"width:{100 * Math.Clamp(a.Probability, 0, 1):0.#}%\"></span></td></tr>");
            }

            html.Add($"</table>");
            if (example.TrueAnswer is { } answer)
            {
                bool right = example.Answers.Count > 0 && example.Answers[0].Answer == answer;
                html.Add($"<p class=\"soft\" style=\"margin:6px 0 0\"><span class=\"{(right ? "right" : "wrong")}\">");
                html.Add($"{(right ? "\u2713 right" : "\u2717 wrong")}</span>; people said \u201c{answer}\u201d</p>");
            }

            html.Add($"</div>\n");
        }

        return html.Add($"</div>\n").ToMarkup();
    }

    private static Markup Cost(RunReport report)
    {
        HtmlBuilder html = new();
        if (report.Phases.Count > 0 || report.Memory.Count > 0)
        {
            html.Add($"<div class=\"pair\">");
            Shares(html, "Seconds by phase", [.. report.Phases.Select(p => (p.Name, p.Seconds))], "s", sum: true);
            Shares(html, "Memory by kind", [.. report.Memory.Select(m => (m.Kind, m.Bytes / 1048576.0))], "MiB", sum: false);
            html.Add($"</div>\n");
        }

        if (report.Flops is { Rows.Count: > 0 } flops)
        {
            Flops(html, flops);
        }

        if (report.Latency.Count > 0)
        {
            html.Add($"<div class=\"card scroll\" style=\"margin-top:14px\"><h3>Latency</h3><table>");
            html.Add($"<tr><th>what</th><th>batch</th><th>median, ms</th><th>p95, ms</th><th>examples a second</th></tr>\n");
            foreach (LatencyRow r in report.Latency)
            {
                html.Add($"<tr><td>{r.What}</td><td>{r.Batch}</td><td>{r.MedianMilliseconds:0.00}</td><td>{r.P95Milliseconds:0.00}</td>");
                html.Add($"<td>{1000 * r.Batch / r.MedianMilliseconds:N0}</td></tr>\n");
            }

            html.Add($"</table></div>\n");
        }

        return html.ToMarkup();
    }

    private static void Shares(HtmlBuilder html, string title, (string Name, double Value)[] rows, string unit, bool sum)
    {
        if (rows.Length == 0)
        {
            return;
        }

        double max = rows.Max(r => r.Value);
        html.Add($"<div class=\"card scroll\"><h3>{title}</h3><table>");
        foreach ((string name, double value) in rows)
        {
            html.Add($"<tr><td>{name}</td><td>{value:0.0} {unit}</td><td class=\"graph\"><span class=\"bar\" ");
            html.Add($"style=\"width:{(max > 0 ? 100 * value / max : 0):0.#}%\"></span></td></tr>\n");
        }

        if (sum)
        {
            html.Add($"<tr class=\"sum\"><td>total</td><td>{rows.Sum(r => r.Value):0.0} {unit}</td><td></td></tr>\n");
        }

        html.Add($"</table></div>\n");
    }

    private static void Flops(HtmlBuilder html, FlopsReport flops)
    {
        double absorbed = flops.Rows.Sum(r => r.Absorbed), projected = flops.Rows.Sum(r => r.Projected);
        double all = flops.Rows.Sum(r => r.AllTokens);
        html.Add($"<div class=\"card scroll\"><h3>FLOPs of one example, millions</h3><p class=\"soft\">{flops.Note}</p><table>");
        html.Add($"<tr><th>operation</th><th>DVP, absorbed</th><th>DVP, K and V projected</th><th>all visual tokens</th></tr>\n");
        foreach (FlopsRow r in flops.Rows)
        {
            html.Add($"<tr><td>{r.Operation}</td><td>{Millions(r.Absorbed)}</td><td>{Millions(r.Projected)}</td>");
            html.Add($"<td>{Millions(r.AllTokens)}</td></tr>\n");
        }

        html.Add($"<tr class=\"sum\"><td>total</td><td>{Millions(absorbed)}</td><td>{Millions(projected)}</td>");
        html.Add($"<td>{Millions(all)}</td></tr>\n");
        if (absorbed > 0)
        {
            html.Add($"<tr><td>against absorbed</td><td>1.00 x</td><td>{projected / absorbed:0.00} x</td>");
            html.Add($"<td>{all / absorbed:0.00} x</td></tr>\n");
        }

        html.Add($"</table></div>\n");

        static string Millions(double flops) => flops == 0
            ? "\u2013"
            : (flops / 1e6).ToString(flops < 1e8 ? "N2" : "N0", CultureInfo.InvariantCulture);
    }

    private static Markup Facts(IReadOnlyList<ReportFact> facts)
    {
        if (facts.Count == 0)
        {
            return default;
        }

        HtmlBuilder html = new();
        html.Add($"<div class=\"card scroll\"><table>");
        foreach (ReportFact fact in facts)
        {
            html.Add($"<tr><td>{fact.Name}</td><td class=\"text\">{fact.Value}</td></tr>\n");
        }

        return html.Add($"</table></div>\n").ToMarkup();
    }
}
