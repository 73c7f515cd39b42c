"""Options of every command that computes: who does it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from mistdata.pipeline.executors import Executor

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--workers", type=click.IntRange(min=1), help="Local worker processes.  [default: cores]"
    ),
    click.option("--scheduler", metavar="ADDRESS", help="Use the Dask scheduler at this address."),
    click.option(
        "--scheduler-file",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        help="Use the scheduler of this file.",
    ),
    click.option("--in-process", is_flag=True, help="Work in this process, without Dask."),
)


def computing_options(command: _Command) -> _Command:
    """Add --workers, --scheduler, --scheduler-file and --in-process to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def executor_of(
    workers: int | None,
    scheduler: str | None,
    scheduler_file: Path | None,
    in_process: bool,
    **others: Any,
) -> Executor:
    """Return who computes.

    Args:
        workers: number of local processes.
        scheduler: address of a Dask scheduler.
        scheduler_file: its file.
        in_process: whether this process does.
        **others: options that mean this process as well; None where they were not given.

    Raises:
        click.UsageError: options that exclude each other.
    """
    from mistdata.pipeline import executors

    here = {f"--{name}": value for name, value in others.items()}
    given = {
        "--workers": workers,
        "--scheduler": scheduler,
        "--scheduler-file": scheduler_file,
        "--in-process": in_process or None,
        **({} if in_process else here),
    }
    chosen = [name for name, value in given.items() if value is not None]
    if len(chosen) > 1:
        raise click.UsageError(f"choose one of {' and '.join(chosen)}")
    if in_process or any(value is not None for value in here.values()):
        return executors.InProcess()
    if scheduler is not None or scheduler_file is not None:
        return executors.Scheduler(scheduler, scheduler_file)
    return executors.LocalWorkers(workers or len(os.sched_getaffinity(0)))
