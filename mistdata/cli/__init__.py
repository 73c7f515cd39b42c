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
from mistdata.cli.estimating import estimate, matrix
from mistdata.cli.flowing import flow_adapt, flow_fit
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
_MENDABLE = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS}  # mend the disk, then run again


class _Commands(click.Group):
    """A group that suggests the nearest command for a misspelt one."""

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


for command in (
    families,
    transforms,
    sample,
    generate,
    seal,
    export_store,
    import_store,
    select_store,
    merge_stores,
    flow_fit,
    flow_adapt,
    inspect,
    report_page,
    verify,
    repair,
    benchmark,
    compare,
    estimate,
    matrix,
    publish,
    catalogs,
):
    cli.add_command(command)


def main() -> None:
    """Run the command line; every failure is one line and an exit code."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code = cli.main(standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("mistdata: interrupted; run the same command again to resume", err=True)
        code = _INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        code = error.exit_code
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        hint = f" (see `{context.command_path} --help`)" if context else ""
        click.echo(f"mistdata: {error.format_message()}{hint}", err=True)
        code = error.exit_code
    except MistdataError as error:
        click.echo(f"mistdata: {error}", err=True)
        code = error.exit_code
    except BrokenPipeError:  # the reader had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        click.echo(f"mistdata: {error.filename or 'input or output'}: {error.strerror}", err=True)
        code = Incomplete.exit_code if error.errno in _MENDABLE else 2
    sys.exit(code)


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
