using System.Text.Encodings.Web;
using System.Text.Json;
using Dvp.Engine;
using Dvp.Engine.IO;

namespace Dvp.Tasks.Vqa;

/// <summary>
/// Result files in the evaluation server's format: an array of {<c>question_id</c>, <c>answer</c>} in the order of the
/// questions file.
/// </summary>
public static class VqaResults
{
    /// <summary>Writes the answers to all questions of a split as JSON.</summary>
    /// <param name="stream">Where to.</param>
    /// <param name="split">The questions.</param>
    /// <param name="answers">One answer an example, in the split's order.</param>
    public static void Write(Stream stream, VqaSplit split, IReadOnlyList<string> answers)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(answers.Count, split.Examples.Count);
        using Utf8JsonWriter writer = new(stream, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
        writer.WriteStartArray();
        for (int i = 0; i < answers.Count; i++)
        {
            writer.WriteStartObject();
            writer.WriteNumber("question_id", split.Examples[i].QuestionId);
            writer.WriteString("answer", answers[i]);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    /// <summary>Writes a result file; it is whole or not there.</summary>
    /// <exception cref="DvpException">It cannot be written; an earlier file is unchanged.</exception>
    public static void Save(string path, VqaSplit split, IReadOnlyList<string> answers) =>
        AtomicFile.Write(path, stream => Write(stream, split, answers));

    /// <summary>Reads a result file. Of several answers to one question the last counts, as on the server.</summary>
    /// <exception cref="DvpException">Not such a file.</exception>
    public static Dictionary<long, string> Read(string path)
    {
        Dictionary<long, string> answers = [];
        using Stream stream = JsonInput.Open(path);
        JsonRecords.Read(stream, path, null, (ref reader, index) =>
        {
            long? id = null;
            string? answer = null;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                bool isId = reader.ValueTextEquals("question_id"), isAnswer = reader.ValueTextEquals("answer");
                reader.Read();
                if (isId && reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out long number))
                {
                    id = number;
                }
                else if (isAnswer && reader.TokenType == JsonTokenType.String)
                {
                    answer = reader.GetString();
                }
                else
                {
                    reader.Skip();
                }
            }

            answers[id ?? throw new DvpException($"{path}: record {index} has no whole \"question_id\".")] =
                answer ?? throw new DvpException($"{path}: record {index} has no \"answer\" text.");
        });
        return answers;
    }

    /// <summary>Scores predictions against a split with answers.</summary>
    /// <param name="split">The split; must have answers.</param>
    /// <param name="predictions">One answer for each of its questions, no other.</param>
    /// <param name="source">The file's name for errors.</param>
    /// <exception cref="DvpException">A question without a prediction, or a prediction without a question.</exception>
    public static VqaEvaluation Evaluate(VqaSplit split, IReadOnlyDictionary<long, string> predictions, string source)
    {
        if (!split.HasAnswers)
        {
            throw new DvpException($"The split \"{split.Name}\" has no answers to compare with; send {source} to the evaluation server.");
        }

        foreach (long id in predictions.Keys)
        {
            if (split.IndexOf(id) < 0)
            {
                throw new DvpException($"{source} has a prediction for question {id}, which is not in the annotations.");
            }
        }

        string[] answers = new string[split.Examples.Count];
        for (int i = 0; i < answers.Length; i++)
        {
            long id = split.Examples[i].QuestionId;
            answers[i] = predictions.TryGetValue(id, out string? answer)
                ? answer
                : throw new DvpException($"{source} has no prediction for question {id}.");
        }

        return new VqaEvaluation(split, answers);
    }
}
