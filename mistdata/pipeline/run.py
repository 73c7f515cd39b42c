"""From a plan to a filled store: the executors. The only file that knows Dask.

An executor is handed shard numbers and calls back for every one that is done. Whether the store
is complete is decided afterwards, by receipts.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from mistdata.errors import Incomplete, MistdataError
from mistdata.pipeline.fill import Filled, fill_shard, init_store
from mistdata.pipeline.plan import Plan
from mistdata.store import ledger
from mistdata.store.ledger import Manifest, Shard
from mistdata.store.seal import seal

OnFilled = Callable[[Filled], None]

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


@dataclass(frozen=True)
class InProcess:
    """Fill shards in this process, one after another."""

    def fill(self, store: Path, shards: Sequence[int], on_filled: OnFilled) -> None:
        """Fill the shards; see the module."""
        for index in shards:
            on_filled(fill_shard(store, index))


@dataclass(frozen=True)
class LocalWorkers:
    """Fill shards in `workers` processes of a Dask cluster on this machine, bound to loopback."""

    workers: int

    def fill(self, store: Path, shards: Sequence[int], on_filled: OnFilled) -> None:
        """Fill the shards; see the module."""
        distributed = _import_distributed()
        cluster = local_cluster(min(self.workers, len(shards)))
        with cluster, distributed.Client(cluster) as client:
            _fill_with(distributed, client, store, shards, on_filled)


@dataclass(frozen=True)
class Scheduler:
    """Fill shards on an existing Dask cluster, by address or by scheduler file."""

    address: str | None = None
    scheduler_file: Path | None = None
    timeout: float = 30.0

    @property
    def _name(self) -> str:
        return str(self.scheduler_file or self.address)

    def fill(self, store: Path, shards: Sequence[int], on_filled: OnFilled) -> None:
        """Fill the shards; see the module.

        Raises:
            Incomplete: the scheduler cannot be reached.
        """
        distributed = _import_distributed()
        where = {"scheduler_file": str(self.scheduler_file)} if self.scheduler_file else {}
        try:
            client = distributed.Client(self.address, timeout=self.timeout, **where)
        except (OSError, TimeoutError) as error:
            raise Incomplete(f"{self._name}: no Dask scheduler answers: {error}") from None
        except (ValueError, KeyError, AssertionError) as error:
            raise MistdataError(f"{self._name}: not a Dask scheduler: {error!r}") from None
        with client:
            _fill_with(distributed, client, store.resolve(), shards, on_filled)


Executor = InProcess | LocalWorkers | Scheduler


def generate(
    plan: Plan,
    store: Path,
    executor: Executor,
    *,
    shards: Sequence[int] | None = None,
    on_start: Callable[[int, int], None] = lambda done, total: None,
    on_filled: OnFilled = lambda filled: None,
) -> Manifest | None:
    """Fill the store of a plan and seal it; the same call again resumes.

    Args:
        plan: what to build.
        store: the folder; created when missing.
        executor: who computes.
        shards: fill only these and do not seal.
        on_start: called with (datasets already durable, datasets in all) of this call.
        on_filled: called for every shard made durable.

    Returns:
        The manifest of the sealed store; None when `shards` was given.

    Raises:
        MistdataError: see its subclasses; `Incomplete` means that running again resumes.
    """
    record = init_store(store, plan)
    wanted = plan.shards if shards is None else [plan.shards[index] for index in shards]
    pending = ledger.missing_shards(store, tuple(wanted), record)
    total = _datasets(wanted)
    on_start(total - _datasets(pending), total)
    if pending:
        with _log(store) as log:
            _fill(store, executor, pending, _both(log, on_filled))
        _require_filled(store, ledger.missing_shards(store, tuple(wanted), record), len(wanted))
    return seal(store) if shards is None else None


def _both(one: OnFilled, other: OnFilled) -> OnFilled:
    def call(filled: Filled) -> None:
        one(filled)
        other(filled)

    return call


def _datasets(shards: Sequence[Shard]) -> int:
    return sum(shard.stop - shard.start for shard in shards)


def _fill(store: Path, executor: Executor, pending: Sequence[Shard], on_filled: OnFilled) -> None:
    try:
        executor.fill(store, [shard.index for shard in pending], on_filled)
    except OSError as error:
        raise Incomplete(f"{store}: {error}; make room or mend the disk, then run again") from None


def _require_filled(store: Path, missing: Sequence[Shard], total: int) -> None:
    if missing:
        raise Incomplete(
            f"{store}: {len(missing)} of {total} shards missing; run the same command again to"
            " resume"
        )


@contextmanager
def _log(store: Path) -> Iterator[Callable[[Filled], None]]:
    """Open this run's log; logs are never part of a store's identity."""
    host = socket.gethostname()
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{host}-{os.getpid()}.jsonl"
    with (store / ledger.LOGS / name).open("a") as file:

        def write(filled: Filled) -> None:
            line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "host": host}
            _append(file, line | asdict(filled))

        yield write


def _append(file: TextIO, line: dict[str, Any]) -> None:
    file.write(json.dumps(line) + "\n")
    file.flush()


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


def _import_distributed() -> Any:
    try:
        import dask
        import distributed
    except ImportError:
        raise MistdataError(
            "Dask workers need the extra mistdata[cluster]; install it, or use --in-process"
        ) from None
    dask.config.set(_DASK_CONFIG)
    for name in ("distributed", "tornado"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return distributed


def _fill_with(
    distributed: Any, client: Any, store: Path, shards: Sequence[int], on_filled: OnFilled
) -> None:
    """Fill shards through a client; losing the cluster means that the store is incomplete."""
    lost = (
        distributed.client.FuturesCancelledError,
        distributed.CancelledError,
        distributed.comm.CommClosedError,
    )
    try:
        for filled in _stream(distributed, client, store, shards):
            on_filled(filled)
    except lost:
        raise Incomplete(
            f"{store}: the Dask scheduler is gone; run the same command again to resume"
        ) from None
    except distributed.KilledWorker as error:
        raise Incomplete(f"{store}: {error}; run the same command again to resume") from None


def _stream(distributed: Any, client: Any, store: Path, shards: Sequence[int]) -> Iterator[Filled]:
    """Yield what is done, with a sliding window of shards in flight; stop at the first error."""
    waiting = list(reversed(shards))
    running: set[Any] = set()
    while waiting or running:
        window = max(4, 3 * sum(client.nthreads().values()))  # workers come and go
        while waiting and len(running) < window:
            running.add(client.submit(fill_shard, store, waiting.pop(), pure=False))
        done, running = distributed.wait(running, return_when="FIRST_COMPLETED")
        for future in done:
            yield future.result()
            future.release()
