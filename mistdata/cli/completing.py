"""The command that makes a shell complete commands, options, names and stores: completion."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from mistdata.cli.console import Choice, command

_INSTALL = {
    "bash": """To install, add to ~/.bashrc: eval "$(mistdata completion bash)\"""",
    "zsh": """To install, add to ~/.zshrc, after compinit: eval "$(mistdata completion zsh)\"""",
    "fish": "To install: mistdata completion fish > ~/.config/fish/completions/mistdata.fish",
}
# Bash divides small@1 into three words unless told otherwise, which helps from the next key on. It
# is told at every key, as it forgets what is said before its first prompt.
_MORE = {
    "bash": """_mistdata() {
    COMP_WORDBREAKS=${COMP_WORDBREAKS//@/}
    _mistdata_completion "$@"
}
complete -o nosort -F _mistdata mistdata
"""
}


@command()
@click.argument("shell", type=Choice(list(_INSTALL)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that makes a SHELL complete commands, options, names and stores.

    Example: mistdata completion bash
    """
    completing = get_completion_class(shell)
    assert completing is not None
    cli = context.find_root().command
    script = completing(cli, {}, "mistdata", "_MISTDATA_COMPLETE").source()
    click.echo(f"{script.strip()}\n{_MORE.get(shell, '')}# {_INSTALL[shell]}")
