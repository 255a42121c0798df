using System.CommandLine;
using Dvp.Engine;

namespace Dvp.Cli.Commands;

/// <summary>dvp completion: a script with which a shell completes commands and flags.</summary>
internal static class CompletionCommand
{
    // Every script asks the tool itself: dvp "[suggest:POSITION]" "LINE" prints what may stand at that place, one word a line. The line is
    // what follows the tool's own name, so that it does not matter how the tool was called.
    private const string Bash = """
        # dvp completion for bash: add  source <(dvp completion bash)  to ~/.bashrc
        _dvp_complete()
        {
            local IFS=$'\n'
            local line="${COMP_LINE#* }"
            local place=$(( COMP_POINT - ${#COMP_LINE} + ${#line} ))
            local found
            found="$("${COMP_WORDS[0]}" "[suggest:${place}]" "${line}" 2>/dev/null)"
            COMPREPLY=( $(compgen -W "${found}" -- "${COMP_WORDS[COMP_CWORD]}") )
        }
        complete -o default -F _dvp_complete dvp
        """;

    private const string Zsh = """
        #compdef dvp
        # dvp completion for zsh: add  source <(dvp completion zsh)  to ~/.zshrc, after compinit
        _dvp_complete()
        {
            local line="${words[2,-1]}"
            local -a found
            found=("${(@f)$("${words[1]}" "[suggest:${#line}]" "${line}" 2>/dev/null)}")
            if [[ -n "${found[1]}" ]]; then
                compadd -- "${found[@]}"
            else
                _files
            fi
        }
        compdef _dvp_complete dvp
        """;

    private const string Fish = """
        # dvp completion for fish: dvp completion fish > ~/.config/fish/completions/dvp.fish
        function __dvp_complete
            set -l line (string replace -r '^\S+\s' '' -- (commandline -cp))
            dvp "[suggest:"(string length -- "$line")"]" "$line" 2>/dev/null
        end
        complete -c dvp -a '(__dvp_complete)'
        """;

    public static Command Create(CliHost host)
    {
        DvpCommand command = new(
            host, "completion", "Prints a script that makes a shell complete commands and flags of dvp.",
            "source <(dvp completion bash)",
            "dvp completion fish > ~/.config/fish/completions/dvp.fish");
        Argument<string> shell = command.Argument("shell", "bash, zsh or fish.");
        shell.CompletionSources.Add("bash", "zsh", "fish");
        return command.Runs((parse, output) =>
        {
            string name = parse.GetRequiredValue(shell);
            string script = name switch
            {
                "bash" => Bash,
                "zsh" => Zsh,
                "fish" => Fish,
                _ => throw new DvpException($"There is no completion for the shell \"{name}\"; give bash, zsh or fish."),
            };
            output.Line(script.ReplaceLineEndings("\n"));
            output.Result(json =>
            {
                json.WriteString("shell", name);
                json.WriteString("script", script);
            });
            return 0;
        });
    }
}
