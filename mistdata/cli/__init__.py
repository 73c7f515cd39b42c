"""The command line: thin click commands over the library.

`mistdata --help` imports neither torch nor dask nor NumPy; every command imports what it needs.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from types import FrameType
from typing import Any

import click

from mistdata import __version__
from mistdata.cli.benchmarking import benchmark, compare
from mistdata.cli.checking import repair, verify
from mistdata.cli.completing import completion
from mistdata.cli.console import coloured, complain
from mistdata.cli.estimating import estimate, matrix
from mistdata.cli.flowing import fidelity_command, flow_adapt, flow_fit
from mistdata.cli.looking import families, inspect, report_page, sample, transforms
from mistdata.cli.making import (
    export_store,
    generate,
    import_store,
    merge_stores,
    seal,
    select_store,
)
from mistdata.cli.publishing import catalogs, publish
from mistdata.errors import Incomplete, MistdataError, did_you_mean

_INTERRUPTED = 130
_LONG = 200  # a sentence about a command is wrapped, not cut
_FAILURES = (
    click.ClickException,
    MistdataError,
    OSError,
    click.exceptions.Abort,
    KeyboardInterrupt,
)
_MENDABLE = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS}  # mend the disk, then run again


class _Commands(click.Group):
    """Commands under headings; a misspelt one gets a suggestion."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.headings: dict[str, list[str]] = {}

    def add_under(self, heading: str, *commands: click.Command) -> None:
        """Add commands, which the help lists under a heading, in this order."""
        for command in commands:
            self.add_command(command)
        self.headings[heading] = [str(command.name) for command in commands]

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the help."""
        return [name for names in self.headings.values() for name in names]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write every heading with its commands."""
        for heading, names in self.headings.items():
            with formatter.section(heading):
                formatter.write_dl(
                    [(name, self.commands[name].get_short_help_str(_LONG)) for name in names]
                )

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write exit codes and, last, an example, on one line."""
        super().format_epilog(ctx, formatter)
        formatter.write("\nExample: mistdata generate pipelines/quickstart.toml STORE\n")

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            hint = did_you_mean(args[0], self.commands)
            raise click.UsageError(f"no such command {args[0]!r}{hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done; 2 usage, bad recipe, not a store; 3 incomplete or unreachable, run"
    " again to resume; 4 the store belongs to another plan; 5 verification failed; 6 this"
    " machine would compute other bytes; 130 interrupted.",
)
@click.version_option(__version__, prog_name="mistdata")
def cli() -> None:
    """Meta-datasets of joint distributions with known mutual information, and an estimator."""


cli.add_under("Look at families and stores", families, transforms, sample, inspect, report_page)
cli.add_under("Make a store", generate, seal, select_store, merge_stores, import_store)
cli.add_under("Check and mend a store", verify, repair)
cli.add_under("Carry a store to a modality", flow_fit, flow_adapt, fidelity_command)
cli.add_under("Estimate mutual information", estimate, matrix)
cli.add_under("Judge estimators", benchmark, compare)
cli.add_under("Publish and hand on", publish, catalogs, export_store)
cli.add_under("Set up", completion)


def main() -> None:
    """Run the command line; every failure is one line, or one JSON object, and an exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code = cli.main(standalone_mode=False, color=coloured())
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        code = error.exit_code
    except BrokenPipeError:  # the reader had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except _FAILURES as error:
        message, code = _said(error)
        complain(message, code, as_json="--json" in sys.argv)
    sys.exit(code)


def _said(error: BaseException) -> tuple[str, int]:
    """Return the line that says what failed, and the exit code."""
    match error:
        case click.ClickException():
            context = getattr(error, "ctx", None)
            hint = f" (see `{context.command_path} --help`)" if context else ""
            return " ".join(f"{error.format_message()}{hint}".split()), error.exit_code
        case MistdataError():
            return str(error), error.exit_code
        case OSError():
            code = Incomplete.exit_code if error.errno in _MENDABLE else 2
            return f"{error.filename or 'input or output'}: {error.strerror}", code
    return "interrupted; run the same command again to resume", _INTERRUPTED


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
