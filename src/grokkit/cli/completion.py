"""``grokkit completion``: what a shell needs to complete words of the command line."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from grokkit.cli._output import Json, Verb, print_json

VARIABLE: Final = "_GROKKIT_COMPLETE"
"""Environment variable through which a shell asks for completions."""
PLACES: Final = {
    "bash": "~/.local/share/bash-completion/completions/grokkit",
    "zsh": "~/.zfunc/_grokkit",
    "fish": "~/.config/fish/completions/grokkit.fish",
}
EXAMPLE: Final = """\b
Examples:
  grokkit completion bash > grokkit.bash
  grokkit completion zsh --json

\b
To keep it, write it where the shell looks:
  bash  ~/.local/share/bash-completion/completions/grokkit
  zsh   ~/.zfunc/_grokkit, with fpath+=~/.zfunc before compinit in ~/.zshrc
  fish  ~/.config/fish/completions/grokkit.fish

Completed are verbs, options, words that an option takes, names of schemes in the catalog and claims; files elsewhere.

Exit status: 0 printed; 2 bad input."""


def register(app: typer.Typer) -> None:
    short = "Completion for bash, zsh or fish."
    app.command("completion", cls=Verb, short_help=short, epilog=EXAMPLE)(completion)


def completion(
    shell: Annotated[str, typer.Argument(help="The shell.", metavar="[bash|zsh|fish]")], json: Json = False
) -> int:
    """Print a script that makes a shell complete the words of this command line."""
    from typer.completion import get_completion_script  # pyright: ignore[reportPrivateImportUsage]

    from grokkit.scheme import InvalidInput, suggestion

    if shell not in PLACES:
        raise InvalidInput(f"grokkit completion: no shell {shell[:40]!r}{suggestion(shell, PLACES)}")
    script = get_completion_script(prog_name="grokkit", complete_var=VARIABLE, shell=shell)
    if json:
        print_json({"shell": shell, "script": script, "place": PLACES[shell]})
    else:
        print(script)
    return 0
