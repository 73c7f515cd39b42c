"""Set up a local Dask worker; Dask loads this module in the worker's process.

Ctrl-C in a terminal reaches the whole process group. Only the client acts on it: it ends its
workers itself, so that one line is printed rather than one traceback per worker.
"""

from __future__ import annotations

import signal
from typing import Any


def dask_setup(_worker: Any) -> None:
    """Leave Ctrl-C to the client."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
