using System.Text.RegularExpressions;
using System.Xml.Linq;
using Dvp.Reporting;
using Dvp.Tests.Tasks;
using Xunit;

namespace Dvp.Tests.Reporting;

/// <summary>The page needs nothing else, is well formed, shows what it was given, and lets no text become markup.</summary>
public class ReportTests
{
    private static readonly string[] s_void = ["meta", "img", "br"];

    [Fact]
    public void The_page_is_self_contained_and_balanced()
    {
        string html = ReportWriter.Html(SampleReport.Build());
        Assert.DoesNotContain("<script", html);
        foreach (Match link in Regex.Matches(html, "(?:src|href|url)\\s*[=(]\\s*[\"']?([^\"')>\\s]+)"))
        {
            Assert.Matches("^(#|data:image/)", link.Groups[1].Value);
        }

        Assert.Equal(["http://www.w3.org/2000/svg"], Regex.Matches(html, "https?://[^\"'<\\s]+").Select(m => m.Value).Distinct());
        Stack<string> open = new();
        foreach (Match tag in Regex.Matches(html, "<(/?)([a-zA-Z][a-zA-Z0-9]*)((?:\"[^\"]*\"|[^>\"])*?)(/?)>"))
        {
            string name = tag.Groups[2].Value;
            if (tag.Groups[1].Value == "/")
            {
                Assert.Equal(name, open.Pop());
            }
            else if (tag.Groups[4].Value != "/" && !s_void.Contains(name))
            {
                open.Push(name);
            }
        }

        Assert.Empty(open);
        Assert.DoesNotContain("NaN", html);
        string[] ids = [.. Regex.Matches(html, " id=\"([^\"]+)\"").Select(m => m.Groups[1].Value)];
        Assert.Equal(["accuracy", "search", "training", "examples", "cost", "configuration"], ids);
        Assert.All(Regex.Matches(html, "href=\"#([^\"]+)\""), m => Assert.Contains(m.Groups[1].Value, ids));
    }

    [Fact]
    public void No_text_becomes_markup()
    {
        string html = ReportWriter.Html(SampleReport.Build() with { Title = "<i>", Preset = "\"><x", Findings = ["<u>"] });
        Assert.DoesNotContain("<b>&quot;this", html);
        Assert.Equal(2, Regex.Count(html, Regex.Escape("is &lt;b&gt;&quot;this&quot;&lt;/b&gt; a &lt;/script&gt;")));
        Assert.DoesNotContain("<i>", html);
        Assert.DoesNotContain("<u>", html);
        Assert.DoesNotContain("<x", html);
    }

    [Fact]
    public void Numbers_and_sentences_are_on_the_page()
    {
        RunReport report = SampleReport.Build();
        string html = ReportWriter.Html(report);
        foreach (string text in new[]
        {
            "93.2 %", "91.8 to 94.5", "text only", "majority", "not beyond chance", report.Search!.Finding!,
            report.Search.ExhaustiveFinding!,
            "prefers-color-scheme: dark", "111.5 s", "263", "5.71 x", "preset", "is there", "1,244", "45.8 MiB", "2.31", "people said",
        })
        {
            Assert.Contains(text, html);
        }

        Assert.Equal(3, Regex.Count(html, "class=\"attention\""));
        Assert.Equal(1, Regex.Count(html, "\u2713 right"));
        Assert.Equal(2, Regex.Count(html, "\u2717 wrong"));
    }

    [Fact]
    public void Sections_without_data_are_left_out()
    {
        string html = ReportWriter.Html(new RunReport { Title = "empty", Created = DateTimeOffset.UnixEpoch });
        Assert.DoesNotContain("<h2", html);
        Assert.Contains("1970-01-01 00:00 UTC<", html.Replace("</p>", "<", StringComparison.Ordinal));
        string text = ReportWriter.Html(SampleReport.Build() with
        {
            Examples = [new ReportExample { Question = "q", Answers = [new("a", 1)] }],
            Training = new TrainingReport { Loss = [new Curve("l", [new(1, double.NaN), new(2, 3)])] },
        });
        Assert.DoesNotContain("people said", text);
        Assert.DoesNotContain("NaN", text);
    }

    [Fact]
    public void The_data_round_trips_as_json()
    {
        using TemporaryFolder folder = new();
        RunReport report = SampleReport.Build();
        string page = ReportWriter.Save(report, folder.Path);
        RunReport loaded = ReportWriter.Load(folder.File("report.json"));
        Assert.Equal(ReportWriter.Json(report), ReportWriter.Json(loaded));
        Assert.Equal(File.ReadAllText(page), ReportWriter.Html(loaded));
        Assert.Contains("\"beyond_chance\": false", ReportWriter.Json(report));
        folder.Write("bad.json", "{\"title\": 3");
        Errors.Contains(() => ReportWriter.Load(folder.File("bad.json")), "bad.json");
    }

    [Theory]
    [InlineData(0, 900, "0,200,400,600,800")]
    [InlineData(91.2, 94.9, "91,92,93,94,95")]
    [InlineData(-0.013, 0.021, "-0.02,-0.01,0.00,0.01,0.02,0.03")]
    [InlineData(5, 5, "4.7,4.8,4.9,5.0,5.1,5.2,5.3")]
    [InlineData(0, 0, "-0.6,-0.4,-0.2,0.0,0.2,0.4,0.6")]
    public void Ticks_are_round(double low, double high, string ticks)
    {
        Axis axis = Axis.Over(low, high, 10, 110, tight: high == 900);
        Assert.Equal(ticks, string.Join(',', axis.Ticks.Select(axis.Text)));
        Assert.All(axis.Ticks, t => Assert.InRange(axis.At(t), 9.999, 110.001));
    }

    [Fact]
    public void Charts_are_well_formed_and_hold_each_value()
    {
        ChartLine line = new("x & y", [new(0, 1), new(1, double.PositiveInfinity), new(2, 3)], "red");
        Markup chart = SvgChart.Lines("step", "a < b", [line]);
        XElement svg = XDocument.Parse("<r>" + chart.Text + "</r>").Root!;
        Assert.Equal(2, svg.Descendants("polyline").Single().Attribute("points")!.Value.Trim().Split(' ').Length);
        Assert.Equal("x & y", svg.Descendants("span").Single().Value);
        Assert.Null(SvgChart.Lines("x", "y", []).Text);

        XElement bars = XDocument.Parse("<r>" + SvgChart.Bars("u", [("up", 2, "red"), ("down", -1, "red")], "0.0").Text + "</r>").Root!;
        double[] widths = [.. bars.Descendants("rect").Select(r => (double)r.Attribute("width")!)];
        Assert.Equal(2.0, widths[0] / widths[1], 0.02);
    }
}
