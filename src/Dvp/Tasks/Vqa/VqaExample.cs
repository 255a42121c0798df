namespace Dvp.Tasks.Vqa;

/// <summary>One question about one picture.</summary>
public sealed class VqaExample
{
    private readonly ImageNames _images;

    internal VqaExample(long questionId, long imageId, string question, ImageNames images)
    {
        (QuestionId, ImageId, Question, _images) = (questionId, imageId, question, images);
        QuestionType = AnswerType = "";
    }

    /// <summary>The question's number, unique in its split.</summary>
    public long QuestionId { get; }

    /// <summary>The picture's number.</summary>
    public long ImageId { get; }

    /// <summary>The picture's path. Its existence is not checked here, see <see cref="VqaSplit.RequireImages"/>.</summary>
    public string ImagePath => _images.Path(ImageId);

    /// <summary>The question as published.</summary>
    public string Question { get; }

    /// <summary>What the people answered, as published: usually ten, at least one; empty in a split without answers.</summary>
    public IReadOnlyList<string> Answers { get; internal set; } = [];

    /// <summary>
    /// The majority answer as published (<c>multiple_choice_answer</c>), or the most frequent one; empty without answers.
    /// </summary>
    public string MajorityAnswer { get; internal set; } = "";

    /// <summary>The annotations' question type; where they have none, the question's first two words in lower case.</summary>
    public string QuestionType { get; internal set; }

    /// <summary>"yes/no", "number" or "other": the annotations' own, or judged by the majority answer; empty without answers.</summary>
    public string AnswerType { get; internal set; }
}
