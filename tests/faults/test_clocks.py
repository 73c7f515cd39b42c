"""No clock decides anything: jumps in time, and in the times of files, change no byte."""

import os
import random
from datetime import UTC, datetime

from mistdata.pipeline import run
from mistdata.pipeline.fill import fill_shard
from mistdata.pipeline.run import InProcess, generate
from mistdata.store import ledger
from mistdata.store.seal import seal
from mistdata.verify import verify
from tests.brief import brief_plan

PLAN = brief_plan()


class Jumping(datetime):
    """A clock that shows any time since 1970, never twice in order."""

    dice = random.Random(0)

    @classmethod
    def now(cls, tz=None):
        """Return some time."""
        return datetime.fromtimestamp(cls.dice.uniform(0, 4e9), tz)


def shake(store):
    """Give every file another time."""
    for path in store.rglob("*"):
        os.utime(path, (Jumping.now(UTC).timestamp(),) * 2)


def test_a_run_whose_clock_jumps_ends_in_the_same_store(tmp_path, monkeypatch):
    steady = generate(PLAN, tmp_path / "steady", InProcess())
    monkeypatch.setattr(run, "datetime", Jumping)
    store = tmp_path / "store"
    for shard in (2, 0, 1):
        generate(PLAN, store, InProcess(), shards=[shard])
        shake(store)
    assert seal(store) == steady
    shake(store)
    assert generate(PLAN, store, InProcess()) == steady
    assert verify(store).ok


def identities(store, shard):
    """What changes when a file is written again."""
    found = [(store / name).stat() for name in (shard.file, shard.receipt)]
    return [(each.st_ino, each.st_mtime_ns) for each in found]


def test_a_task_that_is_done_twice_is_done_once(tmp_path):
    steady = generate(PLAN, tmp_path / "steady", InProcess())
    store = tmp_path / "store"
    generate(PLAN, store, InProcess(), shards=[0])
    shard = PLAN.shards[0]
    before = identities(store, shard)
    assert fill_shard(store, 0).shard == shard.index
    assert identities(store, shard) == before
    (store / shard.receipt).unlink()  # it came to nothing the first time, or a power cut took it
    fill_shard(store, 0)
    assert generate(PLAN, store, InProcess()) == steady
    assert ledger.is_sealed(store)
