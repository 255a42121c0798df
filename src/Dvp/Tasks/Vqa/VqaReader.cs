using System.Buffers;
using System.Text.Json;
using Dvp.Engine;

namespace Dvp.Tasks.Vqa;

/// <summary>Reads a pair of VQA v2.0 files. Strings that repeat (answers, types) are kept once.</summary>
internal sealed class VqaReader
{
    private readonly HashSet<string> _strings = new(StringComparer.Ordinal);
    private readonly HashSet<string>.AlternateLookup<ReadOnlySpan<char>> _lookup;
    private readonly List<VqaExample> _examples = [];
    private readonly Dictionary<long, int> _index = [];
    private readonly SortedSet<long> _duplicates = [];
    private readonly List<string> _majority = [];
    private readonly string _questions;
    private readonly string? _annotations;

    /// <summary>Prepares to read.</summary>
    /// <param name="questions">The questions file's name for errors.</param>
    /// <param name="annotations">The annotations file's name for errors, or null.</param>
    public VqaReader(string questions, string? annotations)
    {
        (_questions, _annotations) = (questions, annotations);
        _lookup = _strings.GetAlternateLookup<ReadOnlySpan<char>>();
    }

    /// <summary>Reads both files.</summary>
    /// <param name="name">The split's name.</param>
    /// <param name="questions">The questions file.</param>
    /// <param name="annotations">The annotations file, or null.</param>
    /// <param name="images">Makes the image names of a subtype.</param>
    public VqaSplit Read(string name, Stream questions, Stream? annotations, Func<string, ImageNames> images)
    {
        List<(long Question, long Image, string Text)> records = [];
        string subtype = "";
        int questionRecords = JsonRecords.Read(
            questions, _questions, "questions", (ref reader, i) => records.Add(Question(ref reader, i)), (key, value) =>
            {
                subtype = key == "data_subtype" ? value : subtype;
            });
        AddQuestions(records, images(subtype));
        if (_examples.Count == 0)
        {
            throw new DvpException($"{_questions} has no questions.");
        }

        if (annotations is not null)
        {
            JsonRecords.Read(annotations, _annotations!, "annotations", Annotation);
            if (_examples.Find(e => e.Answers.Count == 0) is { } bare)
            {
                throw new DvpException($"{_annotations} has no annotation for question {bare.QuestionId} of {_questions}; "
                    + "fetch the files of one release, or leave \"annotations\" out for a split without answers.");
            }
        }

        return new VqaSplit(name, subtype, _examples, _index)
        {
            QuestionRecords = questionRecords,
            MajorityAnswers = _majority,
            DuplicateQuestionIds = [.. _duplicates],
        };
    }

    private void AddQuestions(List<(long Question, long Image, string Text)> records, ImageNames images)
    {
        _examples.EnsureCapacity(records.Count);
        _index.EnsureCapacity(records.Count);
        for (int i = 0; i < records.Count; i++)
        {
            (long id, long image, string text) = records[i];
            if (_index.TryGetValue(id, out int first))
            {
                if (_examples[first].ImageId != image || _examples[first].Question != text)
                {
                    throw new DvpException($"{_questions}: record {i} repeats question_id {id} with another picture or text; "
                        + "give each question its own number.");
                }

                _duplicates.Add(id);
                continue;
            }

            _index.Add(id, _examples.Count);
            _examples.Add(new VqaExample(id, image, text, images) { QuestionType = TypeOf(text) });
        }
    }

    private (long Question, long Image, string Text) Question(ref Utf8JsonReader reader, int index)
    {
        long? id = null, image = null;
        string? text = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("question_id"))
            {
                id = Number(ref reader, "question_id", _questions, index);
            }
            else if (reader.ValueTextEquals("image_id"))
            {
                image = Number(ref reader, "image_id", _questions, index);
            }
            else if (reader.ValueTextEquals("question"))
            {
                text = Text(ref reader, "question", _questions, index);
            }
            else
            {
                reader.Skip();
            }
        }

        Require(id is not null, "question_id", _questions, index);
        Require(image is not null, "image_id", _questions, index);
        Require(text is not null, "question", _questions, index);
        return string.IsNullOrWhiteSpace(text)
            ? throw new DvpException(
                $"{_questions}: record {index} (question_id {id}) has an empty question; write it or take the record out.")
            : (id!.Value, image!.Value, text);
    }

    private void Annotation(ref Utf8JsonReader reader, int index)
    {
        string file = _annotations!;
        long? id = null, image = null;
        string? majority = null, questionType = null, answerType = null;
        List<string>? answers = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("question_id"))
            {
                id = Number(ref reader, "question_id", file, index);
            }
            else if (reader.ValueTextEquals("image_id"))
            {
                image = Number(ref reader, "image_id", file, index);
            }
            else if (reader.ValueTextEquals("multiple_choice_answer"))
            {
                majority = Text(ref reader, "multiple_choice_answer", file, index);
            }
            else if (reader.ValueTextEquals("question_type"))
            {
                questionType = Text(ref reader, "question_type", file, index);
            }
            else if (reader.ValueTextEquals("answer_type"))
            {
                answerType = Text(ref reader, "answer_type", file, index);
            }
            else if (reader.ValueTextEquals("answers"))
            {
                answers = Answers(ref reader, index);
            }
            else
            {
                reader.Skip();
            }
        }

        Require(id is not null, "question_id", file, index);
        Require(answers is { Count: > 0 }, "answers", file, index);
        if (!_index.TryGetValue(id!.Value, out int at))
        {
            throw new DvpException($"{file}: record {index} annotates question {id}, which is not in {_questions}; "
                + "fetch the files of one release.");
        }

        VqaExample example = _examples[at];
        if (image is not null && image != example.ImageId)
        {
            throw new DvpException($"{file}: record {index} annotates question {id} about picture {image}, "
                + $"but {_questions} asks it about picture {example.ImageId}; fetch the files of one release.");
        }

        majority ??= MostFrequent(answers!);
        if (example.Answers.Count > 0)
        {
            if (majority != example.MajorityAnswer || !answers!.SequenceEqual(example.Answers))
            {
                throw new DvpException($"{file}: record {index} repeats question_id {id} with other answers; keep one of them.");
            }

            _duplicates.Add(id.Value);
        }

        example.Answers = answers!.ToArray();
        example.MajorityAnswer = majority;
        example.QuestionType = questionType ?? example.QuestionType;
        example.AnswerType = answerType ?? AnswerTypeOf(majority);
        _majority.Add(majority);
    }

    /// <summary>The answers' texts: objects with an <c>answer</c> as published, or plain strings.</summary>
    private List<string> Answers(ref Utf8JsonReader reader, int index)
    {
        List<string> answers = new(10);
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            throw new DvpException($"{_annotations}: \"answers\" of record {index} is not an array.");
        }

        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType == JsonTokenType.String)
            {
                answers.Add(Pooled(ref reader));
                continue;
            }

            bool found = false;
            if (reader.TokenType == JsonTokenType.StartObject)
            {
                while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
                {
                    if (reader.ValueTextEquals("answer"))
                    {
                        answers.Add(Text(ref reader, "answer", _annotations!, index));
                        found = true;
                    }
                    else
                    {
                        reader.Skip();
                    }
                }
            }

            if (!found)
            {
                throw new DvpException($"{_annotations}: record {index} has an element of \"answers\" without an \"answer\".");
            }
        }

        return answers;
    }

    private static string MostFrequent(List<string> answers)
    {
        Dictionary<string, int> counts = new(StringComparer.Ordinal);
        foreach (string answer in answers)
        {
            counts[answer] = counts.GetValueOrDefault(answer) + 1;
        }

        return answers.MaxBy(a => counts[a])!; // the first of equals
    }

    private string TypeOf(string question)
    {
        string[] words = question.Split((char[]?)null, 3, StringSplitOptions.RemoveEmptyEntries);
        string type = string.Join(' ', words.Take(2)).ToLowerInvariant().TrimEnd('?', '.', '!', ',');
        return Pooled(type);
    }

    private static string AnswerTypeOf(string answer) => AnswerNormalizer.Official(answer) switch
    {
        "yes" or "no" => "yes/no",
        { Length: > 0 } s when s.All(char.IsAsciiDigit) => "number",
        _ => "other",
    };

    private static long Number(ref Utf8JsonReader reader, string field, string file, int index)
    {
        reader.Read();
        return reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out long value) && value >= 0
            ? value
            : throw new DvpException($"{file}: \"{field}\" of record {index} is not a whole number.");
    }

    private string Text(ref Utf8JsonReader reader, string field, string file, int index)
    {
        reader.Read();
        return reader.TokenType == JsonTokenType.String
            ? Pooled(ref reader)
            : throw new DvpException($"{file}: \"{field}\" of record {index} is not a text.");
    }

    private string Pooled(ref Utf8JsonReader reader)
    {
        int bytes = reader.ValueSpan.Length;
        char[] rented = ArrayPool<char>.Shared.Rent(bytes);
        string result = Pooled(rented.AsSpan(0, reader.CopyString(rented)));
        ArrayPool<char>.Shared.Return(rented);
        return result;
    }

    private string Pooled(ReadOnlySpan<char> text)
    {
        if (!_lookup.TryGetValue(text, out string? pooled))
        {
            pooled = text.ToString();
            _strings.Add(pooled);
        }

        return pooled;
    }

    private static void Require(bool present, string field, string file, int index)
    {
        if (!present)
        {
            throw new DvpException($"{file}: record {index} has no \"{field}\".");
        }
    }
}
