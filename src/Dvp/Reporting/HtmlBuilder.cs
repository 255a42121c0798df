using System.Globalization;
using System.Net;
using System.Runtime.CompilerServices;
using System.Text;

namespace Dvp.Reporting;

/// <summary>Markup that goes into the page as it is.</summary>
internal readonly record struct Markup(string Text);

/// <summary>
/// Builds HTML and SVG from interpolated strings: what stands in the string is markup, every value put into it is escaped.
/// Only a <see cref="Markup"/> passes as it is, so nothing that a user wrote can become part of the page's structure.
/// </summary>
internal sealed class HtmlBuilder
{
    private readonly StringBuilder _text = new();

    /// <summary>Appends markup with escaped values.</summary>
    public HtmlBuilder Add([InterpolatedStringHandlerArgument("")] ref Handler markup)
    {
        _ = markup;
        return this;
    }

    /// <summary>Appends markup as it is.</summary>
    public HtmlBuilder Add(Markup markup)
    {
        _text.Append(markup.Text);
        return this;
    }

    /// <summary>What was built.</summary>
    public Markup ToMarkup() => new(_text.ToString());

    /// <inheritdoc/>
    public override string ToString() => _text.ToString();

    /// <summary>Receives the parts of an interpolated string.</summary>
    [InterpolatedStringHandler]
    internal readonly ref struct Handler
    {
        private readonly StringBuilder _to;

        public Handler(int literalLength, int formattedCount, HtmlBuilder builder)
        {
            _to = builder._text;
            _to.EnsureCapacity(_to.Length + literalLength + (8 * formattedCount));
        }

        public void AppendLiteral(string markup) => _to.Append(markup);

        public void AppendFormatted(Markup markup) => _to.Append(markup.Text);

        public void AppendFormatted(string? text) => _to.Append(WebUtility.HtmlEncode(text));

        public void AppendFormatted<T>(T value, string? format = null)
            where T : IFormattable =>
            _to.Append(WebUtility.HtmlEncode(value.ToString(format, CultureInfo.InvariantCulture)));
    }
}
