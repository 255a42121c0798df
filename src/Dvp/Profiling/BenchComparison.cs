using System.Text.Json;
using Dvp.Engine;

namespace Dvp.Profiling;

/// <summary>A row beside the same row of an earlier measurement.</summary>
/// <param name="Name">What ran.</param>
/// <param name="Before">Seconds, the earlier median.</param>
/// <param name="Now">Seconds, the median.</param>
/// <param name="Verdict">slower, faster, or same where the difference is within the noise.</param>
public sealed record BenchChange(string Name, double Before, double Now, string Verdict);

/// <summary>An earlier measurement that later ones are judged by, with the noise of both in mind.</summary>
public sealed class BenchComparison
{
    private const double LeastChange = 0.05;
    private readonly Dictionary<string, (double Median, double P95)> _before;

    private BenchComparison(Dictionary<string, (double Median, double P95)> before) => _before = before;

    /// <summary>Reads what <c>dvp bench --json</c> printed.</summary>
    /// <exception cref="DvpException">The file is missing or no such result.</exception>
    public static BenchComparison Load(string file)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllBytes(file));
            Dictionary<string, (double Median, double P95)> before = new(StringComparer.Ordinal);
            foreach (JsonElement row in document.RootElement.GetProperty("rows").EnumerateArray())
            {
                before[row.GetProperty("name").GetString()!] = (
                    row.GetProperty("median_seconds").GetDouble(), row.GetProperty("p95_seconds").GetDouble());
            }

            return new BenchComparison(before);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new DvpException($"The earlier results {file} cannot be read: {e.Message}", e);
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw new DvpException($"{file} is no result of dvp bench --json: {e.Message}", e);
        }
    }

    /// <summary>Compares rows of the same name.</summary>
    /// <param name="report">The later measurement.</param>
    /// <returns>
    /// A row is slower where its median is over the earlier 95 % quantile and by more than 5 % over the earlier median, and faster where
    /// its
    /// own 95 % quantile is under the earlier median and its median by more than 5 %.
    /// </returns>
    public IReadOnlyList<BenchChange> Compare(BenchReport report) =>
        [.. report.Rows.Where(r => _before.ContainsKey(r.Name)).Select(r => Judge(r, _before[r.Name].Median, _before[r.Name].P95))];

    private static BenchChange Judge(BenchRow row, double median, double p95)
    {
        bool slower = row.Median > p95 && row.Median > (1 + LeastChange) * median;
        bool faster = row.P95 < median && row.Median < (1 - LeastChange) * median;
        return new BenchChange(row.Name, median, row.Median, slower ? "slower" : faster ? "faster" : "same");
    }
}
