using System.Text.Json;
using System.Text.Json.Serialization;
using Dvp.Engine;
using Dvp.Engine.IO;

namespace Dvp.Reporting;

/// <summary>Writes and reads reports.</summary>
public static class ReportWriter
{
    /// <summary>The report as one self-contained HTML page.</summary>
    public static string Html(RunReport report) => ReportHtml.Page(report);

    /// <summary>The report's data as JSON, field names in lower case with underscores.</summary>
    public static string Json(RunReport report) => JsonSerializer.Serialize(report, ReportJson.Default.RunReport);

    /// <summary>Writes <c>report.html</c> and <c>report.json</c> into a folder.</summary>
    /// <returns>The path of the page.</returns>
    /// <exception cref="DvpException">A file cannot be written.</exception>
    public static string Save(RunReport report, string folder)
    {
        string page = Path.Combine(folder, "report.html");
        AtomicFile.WriteText(Path.Combine(folder, "report.json"), Json(report));
        AtomicFile.WriteText(page, Html(report));
        return page;
    }

    /// <summary>Reads a <c>report.json</c>.</summary>
    /// <exception cref="DvpException">Missing, or not such a file.</exception>
    public static RunReport Load(string path)
    {
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(path), ReportJson.Default.RunReport)
                ?? throw new DvpException($"{path} holds no report.");
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new DvpException($"{path} cannot be read as a report: {e.Message}", e);
        }
    }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    WriteIndented = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals)]
[JsonSerializable(typeof(RunReport))]
internal sealed partial class ReportJson : JsonSerializerContext;
