using System.Text;
using Dvp.Engine;

namespace Dvp.Models.Tokenizers;

/// <summary>A WordPiece vocabulary: pieces that begin a word, and pieces that continue one, written with a prefix.</summary>
internal sealed class WordPieceVocabulary
{
    private readonly Dictionary<string, int> _ids = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _continuing = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _beginningByText;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _continuingByText;

    /// <summary>Builds the vocabulary.</summary>
    /// <param name="tokens">Tokens by id.</param>
    /// <param name="prefix">What continuing pieces begin with.</param>
    /// <param name="file">What error messages call it.</param>
    /// <exception cref="DvpException">A token stands twice.</exception>
    public WordPieceVocabulary(string[] tokens, string prefix, string file)
    {
        Tokens = tokens;
        Prefix = prefix;
        for (int id = 0; id < tokens.Length; id++)
        {
            string token = tokens[id];
            if (!_ids.TryAdd(token, id))
            {
                throw new DvpException(
                    $"The vocabulary {file} holds '{token}' twice, as ids {_ids[token]} and {id}; restore the original file.");
            }

            if (token.Length > prefix.Length && token.StartsWith(prefix, StringComparison.Ordinal))
            {
                string piece = token[prefix.Length..];
                _continuing[piece] = id;
                LongestPiece = Math.Max(LongestPiece, piece.Length);
            }

            LongestPiece = Math.Max(LongestPiece, token.Length);
        }

        _beginningByText = _ids.GetAlternateLookup<ReadOnlySpan<char>>();
        _continuingByText = _continuing.GetAlternateLookup<ReadOnlySpan<char>>();
    }

    /// <summary>Tokens by id.</summary>
    public string[] Tokens { get; }

    /// <summary>What continuing pieces begin with, <c>##</c> as a rule.</summary>
    public string Prefix { get; }

    /// <summary>UTF-16 units of the longest piece.</summary>
    public int LongestPiece { get; }

    /// <summary>The id of a token with its prefix; null when there is none.</summary>
    public int? IdOf(string token) => _ids.TryGetValue(token, out int id) ? id : null;

    /// <summary>Finds a piece by its text, without the prefix.</summary>
    public bool TryFind(ReadOnlySpan<char> piece, bool continuing, out int id) =>
        (continuing ? _continuingByText : _beginningByText).TryGetValue(piece, out id);

    /// <summary>Reads <c>vocab.txt</c>: a token a line, its number the id.</summary>
    /// <exception cref="DvpException">The file is missing, empty, not UTF-8, or holds a token twice or none on a line.</exception>
    public static WordPieceVocabulary Load(string file)
    {
        List<string> tokens = [];
        try
        {
            using StreamReader reader = new(file, new UTF8Encoding(false, throwOnInvalidBytes: true));
            while (reader.ReadLine() is { } line)
            {
                tokens.Add(line);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new DvpException($"The vocabulary {file} cannot be read: {e.Message}", e);
        }
        catch (DecoderFallbackException e)
        {
            throw new DvpException($"The vocabulary {file} is not UTF-8 text near line {tokens.Count + 1}; restore the original file.", e);
        }

        int empty = tokens.IndexOf("");
        if (tokens.Count == 0)
        {
            throw new DvpException($"The vocabulary {file} is empty; restore the original file.");
        }

        return empty < 0 ? new WordPieceVocabulary([.. tokens], "##", file)
            : throw new DvpException($"The vocabulary {file} has no token on line {empty + 1}; restore the original file.");
    }
}
