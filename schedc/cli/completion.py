"""`schedc completion SHELL`: the script that makes a shell complete commands and options."""

from __future__ import annotations

import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a completion script for SHELL.

    \b
    bash:  eval "$(schedc completion bash)"         in ~/.bashrc
    zsh:   eval "$(schedc completion zsh)"          in ~/.zshrc
    fish:  schedc completion fish | source          in ~/.config/fish/config.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(ctx.find_root().command, {}, "schedc", "_SCHEDC_COMPLETE")
    # `source()` of bash asks the shell for its version; the text itself is the same for all.
    click.echo(script.source_template % script.source_vars())
