using System.Globalization;
using System.Text;
using Dvp.Engine;

namespace Dvp.Tasks;

/// <summary>
/// The path of a picture from its number: a folder and a name, both patterns with <c>{subtype}</c> and <c>{id}</c> or
/// <c>{id:012}</c> (padded with zeros to so many digits).
/// </summary>
internal sealed class ImageNames
{
    private readonly string _root;
    private readonly string _pattern;
    private readonly string? _subtype;

    /// <summary>Checks the pattern.</summary>
    /// <param name="root">The folder that relative patterns start from.</param>
    /// <param name="pattern">The pattern.</param>
    /// <param name="subtype">What the questions file calls its pictures, or null.</param>
    /// <param name="file">The file that the pattern or the missing subtype is to be blamed on.</param>
    /// <exception cref="DvpException">An unknown placeholder, or a subtype that is missing or not a name.</exception>
    public ImageNames(string root, string pattern, string? subtype, string file)
    {
        (_root, _pattern, _subtype) = (root, pattern, subtype);
        if (pattern.Contains("{subtype}", StringComparison.Ordinal)
            && (string.IsNullOrEmpty(subtype) || subtype.AsSpan().ContainsAny('/', '\\')
                || subtype.Contains("..", StringComparison.Ordinal)))
        {
            throw new DvpException($"{file} has no usable \"data_subtype\" ({subtype ?? "none"}), which the image names "
                + $"\"{pattern}\" of this data set ask for; add it, or write a dataset.json with an image_name that does without.");
        }

        try
        {
            _ = Path(0);
        }
        catch (FormatException e)
        {
            throw new DvpException($"{file}: the image name pattern \"{pattern}\" {e.Message}; use {{subtype}}, {{id}} or {{id:012}}.", e);
        }
    }

    /// <summary>The picture's full path.</summary>
    public string Path(long id)
    {
        StringBuilder name = new(_pattern.Length + 24);
        ReadOnlySpan<char> rest = _pattern;
        while (!rest.IsEmpty)
        {
            int open = rest.IndexOf('{');
            if (open < 0)
            {
                name.Append(rest);
                break;
            }

            int close = rest[open..].IndexOf('}');
            if (close < 0)
            {
                throw new FormatException("has a brace that is not closed");
            }

            name.Append(rest[..open]);
            ReadOnlySpan<char> field = rest.Slice(open + 1, close - 1);
            rest = rest[(open + close + 1)..];
            if (field.SequenceEqual("subtype"))
            {
                name.Append(_subtype);
            }
            else if (field.SequenceEqual("id"))
            {
                name.Append(CultureInfo.InvariantCulture, $"{id}");
            }
            else if (field.StartsWith("id:0") && int.TryParse(field[3..], CultureInfo.InvariantCulture, out int width)
                && width is > 0 and < 40)
            {
                name.Append(id.ToString("D" + width.ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture));
            }
            else
            {
                throw new FormatException($"has an unknown placeholder {{{field}}}");
            }
        }

        return System.IO.Path.Combine(_root, name.ToString());
    }
}
