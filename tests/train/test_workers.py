"""The processes of a fit leave signals to it, and end with it."""

import os
import signal
import subprocess
import sys
import time

import psutil

from train.workers import Workers

DEAF = """
import signal
from train.workers import Workers
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: None)
with Workers(1) as pool:
    job = pool.submit(abs, -1)
    print("begun", flush=True)
    print(job.result(), flush=True)
    input()
    print(pool.submit(abs, -2).result())
"""
BUSY = """
import time
from train.workers import Workers
with Workers(1) as pool:
    pool.submit(abs, 0).result()
    job = pool.submit(time.sleep, 1000)
    print("begun", flush=True)
    job.result()
"""


def begun(script):
    """A process of its own group that has workers."""
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout.readline() == "begun\n"
    return process


def workers_of(pid):
    found = psutil.Process(pid).children()
    return [child for child in found if "spawn_main" in child.cmdline()[-2]]


def test_workers_leave_signals_to_their_group_to_whoever_has_them():
    """From their first moment, when they know nothing yet, and later."""
    process = begun(DEAF)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.killpg(process.pid, number)
    assert process.stdout.readline() == "1\n"
    os.killpg(process.pid, signal.SIGINT)
    found, _ = process.communicate("\n", timeout=60)
    assert (process.returncode, found) == (0, "2\n")


def test_workers_end_with_whoever_had_them():
    process = begun(BUSY)
    children = workers_of(process.pid)
    assert len(children) == 1
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive


def test_a_pool_of_which_a_worker_died_is_closed():
    """The others are stopped by a signal, which a busy one must not wait out."""
    impatient, busy = "import train.workers; train.workers.GRACE = 1.0", 1000.0
    with Workers(2, exec, impatient) as pool:
        begun = set()
        while len(begun) < 2:
            begun |= {job.result() for job in [pool.submit(os.getpid) for _ in range(50)]}
        jobs = [pool.submit(time.sleep, busy) for _ in range(2)]
        next(iter(pool._processes.values())).kill()
        began = time.monotonic()
    assert all(job.exception() for job in jobs)
    assert time.monotonic() - began < busy
