"""Options of every command that computes: who does it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mistdata.cli.console import is_watched

if TYPE_CHECKING:
    from mistdata.pipeline.executors import Executor, Watcher

_file = click.Path(path_type=Path, exists=True, dir_okay=False)


def _range(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> tuple[int, int] | None:
    """Read MIN:MAX."""
    if value is None:
        return None
    match = re.fullmatch(r"(\d{1,6}):(\d{1,6})", value)
    low, high = map(int, match.groups()) if match else (1, 0)
    if not 0 <= low <= high or high == 0:
        raise click.BadParameter(f"expected MIN:MAX as 0:16, got {value!r}")
    return low, high


_OPTIONS = (
    click.option(
        "--workers", type=click.IntRange(min=1), help="Local worker processes.  [default: cores]"
    ),
    click.option(
        "--adapt", callback=_range, metavar="MIN:MAX",
        help="Start and stop local worker processes as the work needs them.",
    ),
    click.option("--scheduler", metavar="ADDRESS", help="Use the Dask scheduler at this address."),
    click.option("--scheduler-file", type=_file, help="Use the scheduler of this file."),
    click.option("--tls-ca", type=_file, help="Certificate authority of a tls:// scheduler."),
    click.option("--tls-cert", type=_file, help="Certificate of this client."),
    click.option("--tls-key", type=_file, help="Its key."),
    click.option(
        "--unencrypted", is_flag=True,
        help="Allow a scheduler on another machine without TLS: whoever reaches it runs code.",
    ),
    click.option("--in-process", is_flag=True, help="Work in this process, without Dask."),
)  # fmt: skip


def _start_again(context: click.Context, _parameter: click.Parameter, portable: bool) -> None:
    if portable and not context.resilient_parsing:
        from mistdata.pipeline.portable import start_again

        start_again()


portable_option = click.option(
    "--portable", is_flag=True, callback=_start_again, expose_value=False,
    help="Compute what every x86-64 processor computes, to the bit; slower.",
)  # fmt: skip


@dataclass(frozen=True)
class Computing:
    """What the options of a command say of who computes."""

    workers: int | None
    adapt: tuple[int, int] | None
    scheduler: str | None
    scheduler_file: Path | None
    tls_ca: Path | None
    tls_cert: Path | None
    tls_key: Path | None
    unencrypted: bool
    in_process: bool

    def executor(self, **others: Any) -> Executor:
        """Return who computes.

        Args:
            **others: options that mean this process as well; None where they were not given.

        Raises:
            click.UsageError: options that exclude each other, or go with others.
            MistdataError: a scheduler that is neither here nor encrypted.
        """
        from mistdata.pipeline import executors

        here = {f"--{name}": value for name, value in others.items()}
        given = {
            "--workers": self.workers,
            "--adapt": self.adapt,
            "--scheduler": self.scheduler,
            "--scheduler-file": self.scheduler_file,
            "--in-process": self.in_process or None,
            **({} if self.in_process else here),
        }
        chosen = [name for name, value in given.items() if value is not None]
        if len(chosen) > 1:
            raise click.UsageError(f"choose one of {' and '.join(chosen)}")
        tls = self._tls()
        if self.scheduler is not None or self.scheduler_file is not None:
            scheduler = executors.Scheduler(
                self.scheduler, self.scheduler_file, tls, self.unencrypted, watcher=_watcher()
            )
            scheduler.require_safe()
            return scheduler
        if tls is not None or self.unencrypted:
            raise click.UsageError("--tls-... and --unencrypted go with a scheduler")
        if self.in_process or any(value is not None for value in here.values()):
            return executors.InProcess()
        cores = len(os.sched_getaffinity(0))
        return executors.LocalWorkers(self.workers or cores, self.adapt, _watcher())

    def _tls(self) -> Any:
        from mistdata.pipeline.executors import Tls

        files = (self.tls_ca, self.tls_cert, self.tls_key)
        named = [file for file in files if file is not None]
        if named and len(named) < len(files):
            raise click.UsageError("give --tls-ca, --tls-cert and --tls-key together")
        return Tls(*named) if named else None


def _watcher() -> Watcher:
    """Tell a person where Dask's dashboard is, which bokeh, of the extra 'cluster', draws."""
    from mistdata.pipeline.executors import Watcher

    if not is_watched() or find_spec("bokeh") is None:
        return Watcher()
    return Watcher(lambda link: click.echo(f"dashboard: {link}", err=True))


def computing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that say who computes, and itself a `computing` of them."""

    @wraps(command)
    def with_computing(**options: Any) -> Any:
        own = {field.name: options.pop(field.name) for field in fields(Computing)}
        return command(computing=Computing(**own), **options)

    decorated: Callable[..., Any] = with_computing
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated
