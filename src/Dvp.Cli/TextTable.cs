using System.Text;
using Spectre.Console;

namespace Dvp.Cli;

/// <summary>A table for people: drawn on a terminal, plain columns elsewhere.</summary>
internal sealed class TextTable
{
    private readonly string[] _columns;
    private readonly List<string[]> _rows = [];
    private string? _title;

    /// <summary>Makes a table.</summary>
    /// <param name="columns">Headings; one that starts with '>' is set to the right.</param>
    public TextTable(params string[] columns) => _columns = columns;

    /// <summary>A line above the table.</summary>
    public TextTable Title(string title)
    {
        _title = title;
        return this;
    }

    /// <summary>Adds a row.</summary>
    public TextTable Row(params string[] cells)
    {
        if (cells.Length != _columns.Length)
        {
            throw new ArgumentException($"A row of {cells.Length} cells in a table of {_columns.Length} columns.", nameof(cells));
        }

        _rows.Add(cells);
        return this;
    }

    /// <summary>The table as Spectre draws it.</summary>
    public Table ToSpectre()
    {
        Table table = new() { Border = TableBorder.Rounded };
        if (_title is not null)
        {
            table.Title = new TableTitle(Markup.Escape(_title));
        }

        foreach (string column in _columns)
        {
            table.AddColumn(new TableColumn(new Markup(Markup.Escape(column.TrimStart('>')), new Style(decoration: Decoration.Bold)))
            {
                Alignment = IsRight(column) ? Justify.Right : Justify.Left,
            });
        }

        foreach (string[] row in _rows)
        {
            table.AddRow(row.Select(c => new Text(c)));
        }

        return table;
    }

    /// <summary>The table as lines of plain text.</summary>
    public string ToText()
    {
        int[] widths = [.. _columns.Select((c, i) => _rows.Select(r => r[i].Length).Append(c.TrimStart('>').Length).Max())];
        StringBuilder text = new();
        if (_title is not null)
        {
            text.Append(_title).Append('\n');
        }

        Append(text, [.. _columns.Select(c => c.TrimStart('>'))], widths);
        foreach (string[] row in _rows)
        {
            Append(text, row, widths);
        }

        return text.ToString();
    }

    private static bool IsRight(string column) => column.StartsWith('>');

    private void Append(StringBuilder text, string[] cells, int[] widths)
    {
        StringBuilder line = new();
        for (int i = 0; i < cells.Length; i++)
        {
            line.Append(i > 0 ? "  " : "").Append(IsRight(_columns[i]) ? cells[i].PadLeft(widths[i]) : cells[i].PadRight(widths[i]));
        }

        text.Append(line.ToString().TrimEnd()).Append('\n');
    }
}
