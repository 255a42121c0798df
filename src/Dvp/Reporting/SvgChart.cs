using System.Globalization;
using Dvp.Evaluation;

namespace Dvp.Reporting;

/// <summary>A curve of a chart.</summary>
/// <param name="Name">Shown in the legend; null for a curve that only accompanies another.</param>
/// <param name="Points">In order of x.</param>
/// <param name="Colour">A CSS colour.</param>
/// <param name="Width">Stroke width in pixels.</param>
/// <param name="Opacity">In [0, 1].</param>
internal sealed record ChartLine(
    string? Name, IReadOnlyList<CurvePoint> Points, string Colour, double Width = 2, double Opacity = 1);

/// <summary>
/// Small charts as inline SVG whose texts and lines take the page's colours (classes <c>axis</c>, <c>grid</c>, <c>zero</c>), so
/// that one drawing serves a light and a dark page. No script; exact values are in tooltips.
/// </summary>
internal static class SvgChart
{
    private const double Width = 520, Left = 56, Right = 14, Top = 10, Bottom = 42;

    /// <summary>Colours that stay apart on light and dark ground, for people with colour blindness too.</summary>
    private static readonly string[] s_colours = ["#3b7dd8", "#d9822b", "#2a9d68", "#b0529d", "#8a8f3c", "#c94f4f"];

    /// <summary>The colour of a series.</summary>
    public static string Colour(int series) => s_colours[series % s_colours.Length];

    /// <summary>A colour of an ordered scale, for layers.</summary>
    public static string Ramp(int index, int count) =>
        string.Create(CultureInfo.InvariantCulture, $"hsl({200 + (150.0 * index / Math.Max(1, count - 1)):0} 60% 52%)");

    /// <summary>Curves over steps, with a legend.</summary>
    /// <param name="x">Label of the horizontal axis.</param>
    /// <param name="y">Label of the vertical axis.</param>
    /// <param name="lines">The curves; values that are not finite are left out.</param>
    /// <param name="height">Pixels.</param>
    public static Markup Lines(string x, string y, IReadOnlyList<ChartLine> lines, double height = 260)
    {
        CurvePoint[] all = [.. lines.SelectMany(l => l.Points).Where(p => double.IsFinite(p.Value))];
        if (all.Length == 0)
        {
            return default;
        }

        Axis horizontal = Axis.Over(all.Min(p => p.Step), all.Max(p => p.Step), Left, Width - Right, tight: true);
        Axis vertical = Axis.Over(all.Min(p => p.Value), all.Max(p => p.Value), height - Bottom, Top, tight: false);
        HtmlBuilder svg = Open(height, y + " by " + x);
        foreach (double tick in vertical.Ticks)
        {
            double at = vertical.At(tick);
            svg.Add($"<line class=\"grid\" x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{at:0.#}\" y2=\"{at:0.#}\"/>");
            svg.Add($"<text class=\"axis\" x=\"{Left - 7}\" y=\"{at + 4:0.#}\" text-anchor=\"end\">{vertical.Text(tick)}</text>\n");
        }

        foreach (double tick in horizontal.Ticks)
        {
            svg.Add($"<text class=\"axis\" x=\"{horizontal.At(tick):0.#}\" y=\"{height - Bottom + 17:0.#}\" text-anchor=\"middle\">");
            svg.Add($"{horizontal.Text(tick)}</text>\n");
        }

        double middle = (Top + height - Bottom) / 2;
        svg.Add($"<text class=\"axis\" x=\"{(Left + Width - Right) / 2:0.#}\" y=\"{height - 6:0.#}\" text-anchor=\"middle\">{x}</text>");
        svg.Add($"<text class=\"axis\" transform=\"translate(12 {middle:0.#}) rotate(-90)\" text-anchor=\"middle\">{y}</text>\n");
        foreach (ChartLine line in lines)
        {
            AddLine(svg, line, horizontal, vertical);
        }

        svg.Add($"</svg>\n");
        Legend(svg, [.. lines.Where(l => l.Name is not null).Select(l => (l.Name!, l.Colour))]);
        return svg.ToMarkup();
    }

    /// <summary>Horizontal bars from zero, one a row.</summary>
    /// <param name="unit">Label of the axis.</param>
    /// <param name="rows">Label, value and colour of each row.</param>
    /// <param name="format">Number format of the values written at the bars.</param>
    public static Markup Bars(string unit, IReadOnlyList<(string Label, double Value, string Colour)> rows, string format)
    {
        double left = LabelWidth(rows.Select(r => r.Label)), height = (rows.Count * 22) + Top + Bottom;
        double low = Math.Min(0, rows.Min(r => r.Value)), high = Math.Max(0, rows.Max(r => r.Value));
        Axis axis = Axis.Over(low, high, left, Width - 60, tight: false);
        HtmlBuilder svg = Open(height, unit);
        AddHorizontalAxis(svg, axis, height, unit, left);
        for (int i = 0; i < rows.Count; i++)
        {
            (string label, double value, string colour) = rows[i];
            double y = Top + (i * 22), zero = axis.At(0), end = axis.At(value);
            string text = value.ToString(format, CultureInfo.InvariantCulture);
            svg.Add($"<text class=\"label\" x=\"{left - 8:0.#}\" y=\"{y + 15:0.#}\" text-anchor=\"end\">{label}</text>");
            svg.Add($"<rect x=\"{Math.Min(zero, end):0.#}\" y=\"{y + 3:0.#}\" width=\"{Math.Max(0.5, Math.Abs(end - zero)):0.#}\" ");
            svg.Add($"height=\"16\" rx=\"2\" fill=\"{colour}\"><title>{label}: {text}</title></rect>");
            svg.Add($"<text class=\"axis\" x=\"{Math.Max(zero, end) + 6:0.#}\" y=\"{y + 15:0.#}\">{text}</text>\n");
        }

        svg.Add($"<line class=\"zero\" x1=\"{axis.At(0):0.#}\" x2=\"{axis.At(0):0.#}\" y1=\"{Top}\" y2=\"{height - Bottom}\"/></svg>\n");
        return svg.ToMarkup();
    }

    /// <summary>Means with their intervals, one group a row and one mark a series.</summary>
    /// <param name="unit">Label of the axis.</param>
    /// <param name="rows">Label and one interval a series.</param>
    /// <param name="series">Name and colour of each series.</param>
    public static Markup Intervals(
        string unit, IReadOnlyList<(string Label, IReadOnlyList<Interval> Values)> rows, IReadOnlyList<(string Name, string Colour)> series)
    {
        double step = (11 * series.Count) + 10, height = (rows.Count * step) + Top + Bottom;
        double left = LabelWidth(rows.Select(r => r.Label));
        Interval[] all = [.. rows.SelectMany(r => r.Values)];
        Axis axis = Axis.Over(all.Min(v => v.Low), all.Max(v => v.High), left, Width - Right, tight: false);
        HtmlBuilder svg = Open(height, unit);
        AddHorizontalAxis(svg, axis, height, unit, left);
        for (int i = 0; i < rows.Count; i++)
        {
            double top = Top + (i * step);
            svg.Add($"<text class=\"label\" x=\"{left - 8:0.#}\" y=\"{top + (step / 2) + 4:0.#}\" text-anchor=\"end\">");
            svg.Add($"{rows[i].Label}</text>");
            for (int s = 0; s < rows[i].Values.Count; s++)
            {
                Interval v = rows[i].Values[s];
                double y = top + 10.5 + (11 * s);
                svg.Add($"<g stroke=\"{series[s].Colour}\" fill=\"{series[s].Colour}\"><line x1=\"{axis.At(v.Low):0.#}\" ");
                svg.Add($"x2=\"{axis.At(v.High):0.#}\" y1=\"{y:0.#}\" y2=\"{y:0.#}\" stroke-width=\"3\" stroke-opacity=\"0.45\"/>");
                svg.Add($"<circle cx=\"{axis.At(v.Mean):0.#}\" cy=\"{y:0.#}\" r=\"4\" stroke=\"none\">");
                svg.Add($"<title>{rows[i].Label}, {series[s].Name}: {v.Mean:0.0} ({v.Low:0.0} to {v.High:0.0})</title></circle></g>\n");
            }
        }

        svg.Add($"</svg>\n");
        if (series.Count > 1)
        {
            Legend(svg, series);
        }

        return svg.ToMarkup();
    }

    private static double LabelWidth(IEnumerable<string> labels) => Math.Clamp(7.2 * labels.Max(l => l.Length), 40, 240) + 16;

    private static HtmlBuilder Open(double height, string label) => new HtmlBuilder().Add(
        $"<svg class=\"chart\" viewBox=\"0 0 {Width} {height:0.#}\" role=\"img\" aria-label=\"{label}\">\n");

    private static void AddHorizontalAxis(HtmlBuilder svg, Axis axis, double height, string unit, double left)
    {
        foreach (double tick in axis.Ticks)
        {
            double at = axis.At(tick);
            svg.Add($"<line class=\"grid\" x1=\"{at:0.#}\" x2=\"{at:0.#}\" y1=\"{Top}\" y2=\"{height - Bottom:0.#}\"/>");
            svg.Add($"<text class=\"axis\" x=\"{at:0.#}\" y=\"{height - Bottom + 16:0.#}\" text-anchor=\"middle\">");
            svg.Add($"{axis.Text(tick)}</text>\n");
        }

        double middle = (left + Width - Right) / 2;
        svg.Add($"<text class=\"axis\" x=\"{middle:0.#}\" y=\"{height - 6:0.#}\" text-anchor=\"middle\">{unit}</text>\n");
    }

    private static void AddLine(HtmlBuilder svg, ChartLine line, Axis horizontal, Axis vertical)
    {
        CurvePoint[] points = [.. line.Points.Where(p => double.IsFinite(p.Value))];
        if (points.Length == 0)
        {
            return;
        }

        svg.Add($"<polyline fill=\"none\" stroke=\"{line.Colour}\" stroke-width=\"{line.Width}\" stroke-opacity=\"{line.Opacity}\" ");
        svg.Add($"stroke-linejoin=\"round\" points=\"");
        foreach (CurvePoint p in points)
        {
            svg.Add($"{horizontal.At(p.Step):0.#},{vertical.At(p.Value):0.#} ");
        }

        svg.Add($"\"><title>{line.Name}: {points[^1].Value:0.####} at {points[^1].Step:0}</title></polyline>\n");
        if (points.Length <= 40 && line.Name is not null)
        {
            foreach (CurvePoint p in points)
            {
                svg.Add($"<circle cx=\"{horizontal.At(p.Step):0.#}\" cy=\"{vertical.At(p.Value):0.#}\" r=\"{line.Width + 0.6:0.#}\" ");
                svg.Add($"fill=\"{line.Colour}\"><title>{line.Name}: {p.Value:0.####} at {p.Step:0}</title></circle>");
            }
        }
    }

    private static void Legend(HtmlBuilder html, IReadOnlyList<(string Name, string Colour)> entries)
    {
        html.Add($"<p class=\"legend\">");
        foreach ((string name, string colour) in entries)
        {
            html.Add($"<span><i style=\"background:{colour}\"></i>{name}</span> ");
        }

        html.Add($"</p>\n");
    }
}
