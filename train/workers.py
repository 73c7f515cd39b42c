"""Processes that work for a fit: they leave signals to it, and end with it."""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from threading import Thread, Timer
from typing import Any

GRACE = 60.0  # seconds from SIGTERM to the end of a worker, for a step to be finished and saved
LEFT = (signal.SIGINT, signal.SIGTERM)


class Workers(ProcessPoolExecutor):
    """A pool of new processes that outlive a signal to their whole group.

    Whoever has the pool gets the signal as well, and decides what is finished and saved. If it is
    killed instead, its processes end.

    Args:
        count: of processes.
        prepare: called first in every process, a function of a module.
        given: its arguments.
    """

    def __init__(
        self, count: int, prepare: Callable[..., None] | None = None, *given: Any
    ) -> None:
        super().__init__(count, mp.get_context("spawn"), _begin, (prepare, given))

    def submit(self, *job: Any, **options: Any) -> Future[Any]:
        """Hand over a job; a process that begins with it is deaf until `_begin`."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, LEFT)
        try:
            return super().submit(*job, **options)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(prepare: Callable[..., None] | None, given: tuple[Any, ...]) -> None:
    """Begin a process of the pool, which also stops its processes by SIGTERM when one died."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_later)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, LEFT)
    Thread(target=_end_with, args=(mp.parent_process(),), daemon=True).start()
    if prepare is not None:
        prepare(*given)


def _end_later(*_: object) -> None:
    timer = Timer(GRACE, os._exit, (1,))
    timer.daemon = True
    timer.start()


def _end_with(parent: mp.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)
