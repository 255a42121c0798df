using Dvp.Engine;

namespace Dvp.Tasks.Vqa;

/// <summary>One split of a VQA data set: its questions in the order of the questions file, with their answers.</summary>
public sealed class VqaSplit
{
    private readonly Dictionary<long, int> _index;

    internal VqaSplit(string name, string subtype, List<VqaExample> examples, Dictionary<long, int> index)
    {
        (Name, Subtype, Examples, _index) = (name, subtype, examples, index);
    }

    /// <summary>The split's name: "train", "val", "test", "test-dev", or as <c>dataset.json</c> calls it.</summary>
    public string Name { get; }

    /// <summary>What the questions file calls its pictures (<c>data_subtype</c>), such as "train2014"; may be empty.</summary>
    public string Subtype { get; }

    /// <summary>The questions, each once.</summary>
    public IReadOnlyList<VqaExample> Examples { get; }

    /// <summary>Records in the questions file; more than there are examples when a record stands in it twice.</summary>
    public int QuestionRecords { get; internal init; }

    /// <summary>
    /// The majority answer of every annotation record in the order of the annotations file, a record that stands there twice
    /// counted twice: what vocabularies are counted from. Empty in a split without answers.
    /// </summary>
    public IReadOnlyList<string> MajorityAnswers { get; internal init; } = [];

    /// <summary>Questions whose record stands more than once, word for word, in the questions or the annotations file.</summary>
    public IReadOnlyList<long> DuplicateQuestionIds { get; internal init; } = [];

    /// <summary>Whether the split has answers.</summary>
    public bool HasAnswers => MajorityAnswers.Count > 0;

    /// <summary>The place of a question in <see cref="Examples"/>, or -1.</summary>
    public int IndexOf(long questionId) => _index.GetValueOrDefault(questionId, -1);

    /// <summary>The pictures that the questions need and that are not on disk, each once, in the order of the questions.</summary>
    public IReadOnlyList<VqaExample> MissingImages()
    {
        HashSet<long> seen = new(Examples.Count);
        return [.. Examples.Where(e => seen.Add(e.ImageId) && !File.Exists(e.ImagePath))];
    }

    /// <summary>Throws when a picture is missing.</summary>
    /// <exception cref="DvpException">Names the first one, the question that needs it, and how many there are.</exception>
    public void RequireImages()
    {
        IReadOnlyList<VqaExample> missing = MissingImages();
        if (missing.Count > 0)
        {
            throw new DvpException($"The picture {missing[0].ImagePath} of question {missing[0].QuestionId} ({Name}) is missing"
                + (missing.Count > 1 ? $", and {missing.Count - 1} more of this split" : "")
                + "; add it, or correct \"images\" and \"image_name\" in the data folder's dataset.json.");
        }
    }
}
