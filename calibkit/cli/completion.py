"""``calibkit completion``: the script that teaches a shell our commands and options."""

from __future__ import annotations

from typing import Any

import click
from click.shell_completion import ShellComplete, get_completion_class

from calibkit.cli.output import write_line


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script for SHELL.

    Load it in the start-up file of the shell; commands, options and their choices are then
    completed with the tab key.

    \b
    Examples:
      eval "$(calibkit completion bash)"                              # in ~/.bashrc
      eval "$(calibkit completion zsh)"                               # in ~/.zshrc
      calibkit completion fish > ~/.config/fish/completions/calibkit.fish
    """
    found: Any = get_completion_class(shell)
    assert found is not None, "click knows bash, zsh and fish"
    script = found(context.find_root().command, {}, "calibkit", "_CALIBKIT_COMPLETE")
    # not script.source(): for bash, that starts a shell to look at its version
    write_line(ShellComplete.source(script).strip())
