"""From a plan to a filled store.

An executor is handed shard numbers and calls back for every one that is done. Whether the store
is complete is decided afterwards, by receipts.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from mistdata.errors import Incomplete
from mistdata.pipeline.executors import Executor, InProcess, LocalWorkers, Scheduler, local_cluster
from mistdata.pipeline.fill import Filled, fill_shard, init_store
from mistdata.pipeline.plan import Plan
from mistdata.store import ledger
from mistdata.store.commit import appending
from mistdata.store.ledger import Manifest, Shard
from mistdata.store.seal import seal

__all__ = ["Executor", "InProcess", "LocalWorkers", "Scheduler", "generate", "local_cluster"]

OnFilled = Callable[[Filled], None]


def generate(
    plan: Plan,
    store: Path,
    executor: Executor,
    *,
    shards: Sequence[int] | None = None,
    task: Callable[[Path, int], Filled] = fill_shard,
    on_start: Callable[[int, int], None] = lambda done, total: None,
    on_filled: OnFilled = lambda filled: None,
) -> Manifest | None:
    """Fill the store of a plan and seal it; the same call again resumes.

    Args:
        plan: what to build.
        store: the folder; created when missing.
        executor: who computes.
        shards: fill only these and do not seal.
        task: makes one shard durable.
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
            _fill(store, executor, task, pending, _both(log, on_filled))
        _require_filled(store, ledger.missing_shards(store, tuple(wanted), record), len(wanted))
    return seal(store) if shards is None else None


def _both(one: OnFilled, other: OnFilled) -> OnFilled:
    def call(filled: Filled) -> None:
        one(filled)
        other(filled)

    return call


def _datasets(shards: Sequence[Shard]) -> int:
    return sum(shard.stop - shard.start for shard in shards)


def _fill(
    store: Path,
    executor: Executor,
    task: Callable[[Path, int], Filled],
    pending: Sequence[Shard],
    on_filled: OnFilled,
) -> None:
    try:
        executor.run(store, task, [shard.index for shard in pending], on_filled)
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
    with appending(store / ledger.LOGS / name) as file:

        def write(filled: Filled) -> None:
            line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "host": host}
            _append(file, line | asdict(filled))

        yield write


def _append(file: TextIO, line: dict[str, Any]) -> None:
    file.write(json.dumps(line) + "\n")
    file.flush()
