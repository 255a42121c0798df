using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Dvp.Models.Tokenizers;

namespace Dvp.Cli.Commands;

/// <summary>dvp tokenize: texts, pairs or JSON lines to ids, tokens and offsets.</summary>
internal static class TokenizeCommand
{
    public static Command Create(CliHost host)
    {
        DvpCommand command = new(
            host, "tokenize", "Turns texts, pairs of texts or a file of JSON lines into token ids, tokens and offsets.",
            "dvp tokenize --model samples/easy-vqa/language-model --text \"what color is the triangle?\"",
            "dvp tokenize --model samples/easy-vqa/language-model --text premise --pair hypothesis --json",
            "dvp tokenize --model bert-base-uncased --input cases.jsonl --output out.jsonl");
        Option<string> model = command.With(CommonOptions.Required("--model", "Folder with the tokenizer's files.", "folder"));
        Option<string?> text = command.With(CommonOptions.Text("--text", "A text. Default: the lines of --input.", "text"));
        Option<string?> pair = command.With(CommonOptions.Text("--pair", "The second text of a pair. Default: none.", "text"));
        Option<int?> length = command.With(CommonOptions.OptionalInteger(
            "--max-length", "Tokens after which --text is cut.", 2, 100_000, "nothing is cut"));
        Option<string?> input = command.With(CommonOptions.Text(
            "--input", "File of JSON lines with text, pair and options. Default: --text.", "file"));
        Option<string?> target = command.With(CommonOptions.Text(
            "--output", "File of JSON lines to write. Default: --input needs one.", "file"));
        command.Validators.Add(result =>
        {
            bool lines = result.GetResult(input) is not null;
            if (lines == (result.GetResult(text) is not null) || lines != (result.GetResult(target) is not null))
            {
                result.AddError("either --text, or --input and --output must be given");
            }
        });
        return command.Runs((parse, output) =>
        {
            BertTokenizer tokenizer = BertTokenizer.Load(parse.GetRequiredValue(model));
            if (parse.GetValue(input) is { } file)
            {
                string written = parse.GetValue(target)!;
                int lines = TokenizeCases.Run(tokenizer, file, written);
                output.Line(string.Create(CultureInfo.InvariantCulture, $"{lines} lines in {written}."));
                output.Result(json =>
                {
                    json.WriteNumber("lines", lines);
                    json.WriteString("output", written);
                });
                return 0;
            }

            int? limit = parse.GetValue(length);
            TokenEncoding encoding = tokenizer.Encode(
                parse.GetValue(text)!,
                parse.GetValue(pair),
                limit is null ? null : new EncodeOptions { Truncation = TruncationMode.LongestFirst, MaxLength = limit });
            Print(output, encoding);
            output.Result(json => Write(json, tokenizer, encoding));
            return 0;
        });
    }

    private static void Print(CommandOutput output, TokenEncoding encoding)
    {
        TextTable table = new(">id", "token", ">type", ">from", ">to");
        for (int i = 0; i < encoding.Length; i++)
        {
            table.Row(
                Number(encoding.Ids[i]), encoding.Tokens[i], Number(encoding.TypeIds[i]), Number(encoding.Offsets[i].Start),
                Number(encoding.Offsets[i].End));
        }

        output.Table(table);
    }

    private static void Write(Utf8JsonWriter json, BertTokenizer tokenizer, TokenEncoding encoding)
    {
        Numbers(json, "ids", encoding.Ids);
        Numbers(json, "attention_mask", encoding.AttentionMask);
        Numbers(json, "type_ids", encoding.TypeIds);
        json.WriteStartArray("tokens");
        foreach (string token in encoding.Tokens)
        {
            json.WriteStringValue(token);
        }

        json.WriteEndArray();
        json.WriteStartArray("offsets");
        foreach (TokenOffsets offsets in encoding.Offsets)
        {
            json.WriteStartArray();
            json.WriteNumberValue(offsets.Start);
            json.WriteNumberValue(offsets.End);
            json.WriteEndArray();
        }

        json.WriteEndArray();
        json.WriteString("decoded", tokenizer.Decode(encoding.Ids));
    }

    private static void Numbers(Utf8JsonWriter json, string name, int[] values)
    {
        json.WriteStartArray(name);
        foreach (int value in values)
        {
            json.WriteNumberValue(value);
        }

        json.WriteEndArray();
    }

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);
}
