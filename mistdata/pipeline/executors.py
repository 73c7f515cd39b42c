"""Who computes: this process, local Dask workers, an existing Dask cluster.

An executor is handed a task, the folder it works in and the items to work on, and calls back for
every item that is done. The only file that knows Dask.
"""

from __future__ import annotations

import json
import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from mistdata.errors import Incomplete, MissingExtra, MistdataError

_Item = TypeVar("_Item")
_Done = TypeVar("_Done")

_DASK_CONFIG = {
    # A task is idempotent: let it outlive the death of many workers.
    "distributed.scheduler.allowed-failures": 20,
    # Every failure reaches the client as an exception, and the user as one line.
    "logging.distributed": "critical",
    "logging.tornado": "critical",
    # A worker's profiler looks at every thread a hundred times a second.
    "distributed.worker.profile.enabled": False,
    # Dask makes workers hand every freed block back to the system at once, which costs a worker
    # that allocates the same arrays over and over an eighth of its time in page faults.
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 256 * 2**20,
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 256 * 2**20,
}


def _ignored(_link: str) -> None:
    """Tell nobody."""


@dataclass
class Watcher:
    """What a run on a cluster tells.

    Attributes:
        on_dashboard: called with the address of Dask's dashboard.
        retries: tasks that were given to another worker, as the first was lost.
    """

    on_dashboard: Callable[[str], None] = _ignored
    retries: int = 0


@dataclass(frozen=True)
class InProcess:
    """Work in this process, one item after another."""

    watcher: Watcher = field(default_factory=Watcher, compare=False)

    def run(
        self,
        folder: Path,
        task: Callable[[Path, _Item], _Done],
        items: Sequence[_Item],
        on_done: Callable[[_Done], None],
    ) -> None:
        """Call `task(folder, item)` for every item, and `on_done` with what it returns."""
        for item in items:
            on_done(task(folder, item))


@dataclass(frozen=True)
class LocalWorkers:
    """Work in `workers` processes of a Dask cluster on this machine, bound to loopback.

    With `adapt`, the least and the greatest number, Dask starts and stops them as it sees fit.

    Raises:
        MissingExtra: Dask's distributed is not installed.
    """

    workers: int
    adapt: tuple[int, int] | None = None
    watcher: Watcher = field(default_factory=Watcher, compare=False)

    def __post_init__(self) -> None:
        _require_distributed()

    def run(
        self,
        folder: Path,
        task: Callable[[Path, _Item], _Done],
        items: Sequence[_Item],
        on_done: Callable[[_Done], None],
    ) -> None:
        """Call `task(folder, item)` for every item, in any order.

        Raises:
            Incomplete: workers die of an item again and again.
        """
        distributed = _import_distributed()
        cluster = local_cluster(0 if self.adapt else min(self.workers, len(items)))
        if self.adapt:
            cluster.adapt(minimum=self.adapt[0], maximum=self.adapt[1])
        with cluster, distributed.Client(cluster) as client:
            _run_with(distributed, client, self.watcher, folder, task, items, on_done)


@dataclass(frozen=True)
class Tls:
    """Files in PEM format: the authority that signed the cluster's certificates, and our own."""

    ca: Path
    cert: Path
    key: Path


@dataclass(frozen=True)
class Scheduler:
    """Work on an existing Dask cluster, by address or by scheduler file.

    Whoever reaches a scheduler without TLS runs code on its workers, so one on another machine
    needs `tls` (or Dask's own configuration of it), or `unencrypted`.

    Raises:
        MissingExtra: Dask's distributed is not installed.
    """

    address: str | None = None
    scheduler_file: Path | None = None
    tls: Tls | None = None
    unencrypted: bool = False
    timeout: float = 30.0
    watcher: Watcher = field(default_factory=Watcher, compare=False)

    def __post_init__(self) -> None:
        _require_distributed()

    def require_safe(self) -> str:
        """Return the address.

        Raises:
            MistdataError: the scheduler file names none, or it is neither here nor encrypted.
        """
        address = self.address
        try:
            if self.scheduler_file is not None:
                address = json.loads(self.scheduler_file.read_bytes())["address"]
            assert isinstance(address, str)
            encrypted, here = address.startswith("tls://"), _is_loopback(address)
        except (ValueError, KeyError, TypeError, AssertionError) as error:
            named = self.scheduler_file or address
            raise MistdataError(f"{named}: not a Dask scheduler: {error!r}") from None
        if not (encrypted or here or self.unencrypted):
            raise MistdataError(
                f"{self._where(address)}: on another machine and not encrypted; use a tls://"
                " scheduler, or --unencrypted on a network whose every user may run code"
            )
        return address

    def _where(self, address: str) -> str:
        return address if self.scheduler_file is None else f"{self.scheduler_file}: {address}"

    def run(
        self,
        folder: Path,
        task: Callable[[Path, _Item], _Done],
        items: Sequence[_Item],
        on_done: Callable[[_Done], None],
    ) -> None:
        """Call `task(folder, item)` for every item, in any order.

        Raises:
            Incomplete: the scheduler cannot be reached, or is lost.
        """
        distributed = _import_distributed()
        address, secured = self.require_safe(), {}
        if self.tls is not None:
            secured["security"] = distributed.Security(
                tls_ca_file=str(self.tls.ca),
                tls_client_cert=str(self.tls.cert),
                tls_client_key=str(self.tls.key),
                require_encryption=True,
            )
        try:
            client = distributed.Client(address, timeout=self.timeout, **secured)
        except (OSError, TimeoutError) as error:
            why = str(_first_cause(error)) or f"not within {self.timeout:g} s"
            raise Incomplete(f"{self._where(address)}: no Dask scheduler answers: {why}") from None
        except (ValueError, TypeError, KeyError, AssertionError, RuntimeError) as error:
            raise MistdataError(f"{self._where(address)}: cannot connect: {error}") from None
        with client:
            _run_with(distributed, client, self.watcher, folder.resolve(), task, items, on_done)


Executor = InProcess | LocalWorkers | Scheduler


def _first_cause(error: BaseException) -> BaseException:
    """Return what an error began with; Dask's own names the address again."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _is_loopback(address: str) -> bool:
    """Tell whether an address, as tcp://HOST:PORT, never leaves this machine."""
    parts = urlsplit(address if "://" in address else f"tcp://{address}")
    if parts.scheme == "inproc":
        return True
    try:
        found = socket.getaddrinfo(parts.hostname, None)
    except OSError:
        return False
    return all(ip_address(each[4][0]).is_loopback for each in found)


def local_cluster(workers: int) -> Any:
    """Start a Dask cluster of this many processes on this machine, bound to loopback."""
    distributed = _import_distributed()
    with _ctrl_c_ignored():
        return distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
            preload=["mistdata.pipeline.worker"],  # for workers that replace dead ones
        )


@contextmanager
def _ctrl_c_ignored() -> Iterator[None]:
    """Have the processes started here inherit that Ctrl-C is not for them.

    In a terminal it reaches the whole process group, but only the client acts on it. While the
    processes start, about a second, it has no effect.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _require_distributed() -> None:
    if find_spec("distributed") is None:
        raise MissingExtra(
            "Dask workers need distributed: pip install 'mistdata[cluster]', or use --in-process"
        )


def _import_distributed() -> Any:
    import dask
    import distributed

    dask.config.set(_DASK_CONFIG)
    for name in ("distributed", "tornado"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return distributed


def _run_with(
    distributed: Any,
    client: Any,
    watcher: Watcher,
    folder: Path,
    task: Callable[[Path, _Item], _Done],
    items: Sequence[_Item],
    on_done: Callable[[_Done], None],
) -> None:
    """Work through a client; losing the cluster means that the work is incomplete."""
    began = time.time()
    lost = (
        distributed.client.FuturesCancelledError,
        distributed.CancelledError,
        distributed.comm.CommClosedError,
    )
    if client.dashboard_link:
        watcher.on_dashboard(client.dashboard_link)
    try:
        for done in _stream(distributed, client, folder, task, items):
            on_done(done)
        watcher.retries += _retries(client, began)
    except lost:
        raise Incomplete(
            f"{folder}: the Dask scheduler is gone; run the same command again to resume"
        ) from None
    except distributed.KilledWorker as error:
        raise Incomplete(f"{folder}: {error}; run the same command again to resume") from None


def _retries(client: Any, since: float) -> int:
    """Count the tasks whose workers were lost while they had them."""
    events = [event for time, event in client.get_events("all") if time >= since]
    return sum(
        len(event["processing-tasks"])
        for event in events
        if event.get("action") == "remove-worker" and not event["expected"]
    )


def _stream(
    distributed: Any,
    client: Any,
    folder: Path,
    task: Callable[[Path, _Item], _Done],
    items: Sequence[_Item],
) -> Iterator[_Done]:
    """Yield what is done, with a sliding window of items in flight; stop at the first error."""
    waiting = list(reversed(items))
    running: set[Any] = set()
    while waiting or running:
        window = max(4, 3 * sum(client.nthreads().values()))  # workers come and go
        while waiting and len(running) < window:
            running.add(client.submit(task, folder, waiting.pop(), pure=False))
        done, running = distributed.wait(running, return_when="FIRST_COMPLETED")
        for future in done:
            yield future.result()
            future.release()
