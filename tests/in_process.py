"""The command line run inside the test: the same exit codes and lines, without a start each."""

import io
import json
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
    return failure_of(finished, "--json" in arguments)


def failure_of(finished, as_json):
    """Return the one line, or the one object, in which a command said why it failed."""
    (line,) = finished.stderr.splitlines()
    if as_json:
        said = json.loads(line)
        assert said == {"error": said["error"], "code": finished.returncode}
        return said["error"]
    assert line.startswith("mistdata: ")
    return line
