"""The command line run inside the test: the same exit codes and lines, without a start each."""

import io
import os
import signal
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple
from unittest import mock

from mistdata.cli import main


class Finished(NamedTuple):
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


def mistdata(*arguments):
    """Run a command to its end, on one core."""
    out, err = io.StringIO(), io.StringIO()
    argv = ["mistdata", *map(str, arguments)]
    handler = signal.getsignal(signal.SIGTERM)
    with (
        mock.patch.object(sys, "argv", argv),
        mock.patch.object(os, "sched_getaffinity", lambda _pid: {0}),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as finished:
            code = finished.code
        finally:
            signal.signal(signal.SIGTERM, handler)
    return Finished(code or 0, out.getvalue(), err.getvalue())


def refuses(code, *arguments):
    """Run a command that must fail with this code and one line; return the line."""
    finished = mistdata(*arguments)
    assert finished.returncode == code, finished.stderr
    (line,) = finished.stderr.splitlines()
    assert line.startswith("mistdata: ")
    return line
