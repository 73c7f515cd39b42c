"""At any one system call of a whole run: a crash, a power cut, or a disk that fails from there on.

The system calls that change a disk are counted and numbered; for every number a child process runs
and ends right before that call (a write, in its middle). For the power cut, what the child had
not made durable by fsync is then taken away: entries of folders, and content of files.
"""

import errno
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from mistdata.pipeline.run import InProcess, generate
from mistdata.store import ledger
from mistdata.store.commit import is_leftover, sha256_of
from mistdata.verify import verify
from tests.brief import brief_plan
from tests.faults.crashing import run_in_child


def require_receipts_are_true(plan, store):
    """I1: a receipt means that the shard is durable with that hash."""
    if not (store / ledger.RECORD).exists():
        return
    record = ledger.read_record(store)
    for shard in plan.shards:
        receipt = ledger.valid_receipt(store, shard, record)
        if receipt is not None:
            assert sha256_of(store / shard.file) == receipt.sha256


# Every point is tried by the slow tests, every so many-th by the fast ones.
every = pytest.mark.parametrize("step", [9, pytest.param(1, marks=pytest.mark.slow)])


@every
@pytest.mark.parametrize("power_cut", [False, True], ids=["kill", "power cut"])
def test_no_point_of_a_run_is_a_bad_one_to_crash(tmp_path, power_cut, step, capsys):
    plan = brief_plan()
    digest = generate(plan, tmp_path / "undisturbed", InProcess()).digest
    _, calls = run_in_child(plan, tmp_path / "counted", None, power_cut)
    assert calls > 50
    crashes = 0
    for point in range(0, calls, step):
        store = tmp_path / str(point)
        crashed, _ = run_in_child(plan, store, point, power_cut)
        assert crashed
        crashes += 1
        require_receipts_are_true(plan, store)
        if ledger.is_sealed(store):  # I2
            assert verify(store).ok
        assert generate(plan, store, InProcess()).digest == digest
        report = verify(store)
        assert report.ok and report.sealed, report.problems
        assert not [path for path in store.rglob("*") if is_leftover(path)]
        shutil.rmtree(store)
    with capsys.disabled():
        sys.stdout.write(f" {crashes} crashes, 0 violations ")


@every
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO], ids=["no room", "input or output"])
def test_from_no_point_of_a_run_does_a_failing_disk_do_harm(tmp_path, error, step):
    plan = brief_plan()
    digest = generate(plan, tmp_path / "undisturbed", InProcess()).digest
    _, calls = run_in_child(plan, tmp_path / "counted", None)
    for point in range(step // 2, calls, step):
        store = tmp_path / str(point)
        run_in_child(plan, store, point, False, error)
        require_receipts_are_true(plan, store)
        assert not [path for path in store.rglob("*") if is_leftover(path)]
        if ledger.is_sealed(store):
            assert verify(store).ok
        assert generate(plan, store, InProcess()).digest == digest
        assert verify(store).ok
        shutil.rmtree(store)


def test_the_order_on_disk_is_shard_receipt_manifest(tmp_path, monkeypatch):
    """What is recorded: every fsync, rename and link, under the names that files end up with."""
    store, events = tmp_path / "store", []
    kept = {name: getattr(os, name) for name in ("fsync", "replace", "link")}

    def synced(descriptor):
        kept["fsync"](descriptor)
        events.append(("fsync", final(Path(f"/proc/self/fd/{descriptor}").readlink())))

    def final(path):
        name = re.sub(r"^\.(.*)\.[0-9a-f]{16}\.tmp$", r"\1", Path(path).name)
        return os.path.relpath(Path(path).with_name(name), store)

    def moved(name):
        def move(source, target, **options):
            kept[name](source, target, **options)
            events.append((name, final(target)))

        return move

    monkeypatch.setattr(os, "fsync", synced)
    for name in ("replace", "link"):
        monkeypatch.setattr(os, name, moved(name))
    plan = brief_plan()
    generate(plan, store, InProcess())
    at = events.index
    catalog = at(("replace", "catalog.parquet"))
    for shard in plan.shards:
        folder = str(Path(shard.file).parent)
        order = [
            at(("fsync", shard.file)),
            at(("replace", shard.file)),
            events.index(("fsync", folder), at(("replace", shard.file))),
            at(("replace", shard.receipt)),
            at(("fsync", shard.receipt)),
            at(("link", "manifest.json")),
        ]
        assert order == sorted(order), (shard.file, order)
        assert order[3] < catalog
    order = [at(("fsync", "catalog.parquet")), catalog, at(("fsync", "manifest.json")),
             at(("link", "manifest.json"))]  # fmt: skip
    assert order == sorted(order)
    assert events[-1] == ("fsync", ".") and events[-2] == ("link", "manifest.json")
