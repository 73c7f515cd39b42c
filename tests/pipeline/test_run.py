"""However a plan is filled, the bytes are the same; a store belongs to one plan."""

import dataclasses
import errno
import hashlib
import json
import os

import pytest

from mistdata.errors import Incomplete, NotAStore, NumericMismatch, OtherPlan, VerificationFailed
from mistdata.pipeline import fill
from mistdata.pipeline.plan import make_plan
from mistdata.pipeline.recipe import parse_recipe, read_recipe
from mistdata.pipeline.run import InProcess, LocalWorkers, generate
from mistdata.store import commit, ledger
from mistdata.store.seal import seal


@pytest.fixture(scope="module")
def plan(small_recipe):
    return make_plan(read_recipe(small_recipe))


def hashes(store):
    """Return the sha256 of every file, logs aside."""
    return {
        path.relative_to(store).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in store.rglob("*")
        if path.is_file() and path.relative_to(store).parts[0] != ledger.LOGS
    }


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_workers_do_not_change_a_byte(tmp_path, plan, small_store, workers):
    generate(plan, tmp_path / "store", LocalWorkers(workers))
    assert hashes(tmp_path / "store") == hashes(small_store)


def test_parts_in_any_order_do_not_change_a_byte(tmp_path, plan, small_store):
    store = tmp_path / "store"
    count = len(plan.shards)
    for part in (range(count - 1, 1, -1), [0], [1, 0]):
        assert generate(plan, store, InProcess(), shards=list(part)) is None
        assert not ledger.is_sealed(store)
    seal(store)
    assert hashes(store) == hashes(small_store)


def test_running_again_changes_nothing(tmp_path, plan):
    store = tmp_path / "store"
    one = generate(plan, store, InProcess())
    times = {path: path.stat().st_mtime_ns for path in store.rglob("*") if path.is_file()}
    other = generate(plan, store, InProcess())
    assert one == other
    assert times == {path: path.stat().st_mtime_ns for path in store.rglob("*") if path.is_file()}


def test_a_rerun_replaces_what_is_gone_or_cut_short(tmp_path, plan, small_store):
    store = tmp_path / "store"
    generate(plan, store, InProcess(), shards=list(range(len(plan.shards))))
    shards = plan.shards
    (store / shards[0].file).unlink()
    os.truncate(store / shards[1].file, 1000)
    (store / shards[2].receipt).write_bytes(b"")
    generate(plan, store, InProcess())
    assert hashes(store) == hashes(small_store)


def test_leftovers_of_killed_writers_are_swept(tmp_path, plan, small_store):
    store = tmp_path / "store"
    generate(plan, store, InProcess(), shards=[0])
    for folder in (store, store / "train/values/c", store / "_receipts/train"):
        (folder / ".0.0123456789abcdef.tmp").write_bytes(b"torn")
    generate(plan, store, InProcess())
    assert hashes(store) == hashes(small_store)


def test_a_generator_killed_while_claiming_a_folder_does_not_block_it(tmp_path, plan, small_store):
    store = tmp_path / "store"
    store.mkdir()
    (store / ".plan.json.0123456789abcdef.tmp").write_bytes(b"torn")
    generate(plan, store, InProcess())
    assert hashes(store) == hashes(small_store)


def test_a_writer_swept_by_a_seal_gives_way(tmp_path, plan, monkeypatch):
    store = tmp_path / "store"
    generate(plan, store, InProcess(), shards=list(range(len(plan.shards))))
    shard, original = plan.shards[0], commit.sync_folder
    (store / shard.receipt).rename(tmp_path / "aside")

    def seal_just_before_the_receipt(folder):
        monkeypatch.setattr(commit, "sync_folder", original)
        original(folder)
        (tmp_path / "aside").rename(store / shard.receipt)
        seal(store)
        (store / shard.receipt).parent.rename(tmp_path / "receipts")  # nothing to write to

    monkeypatch.setattr(commit, "sync_folder", seal_just_before_the_receipt)
    fill.fill_shard(store, 0)
    assert ledger.is_sealed(store)


def test_another_recipe_is_refused_and_nothing_is_touched(tmp_path, plan, small_recipe):
    store = tmp_path / "store"
    generate(plan, store, InProcess(), shards=[0])
    before = hashes(store)
    text = small_recipe.read_text().replace("seed = 7", "seed = 8")
    with pytest.raises(OtherPlan, match="belongs to the plan"):
        generate(make_plan(parse_recipe(text, "other")), store, InProcess())
    with pytest.raises(OtherPlan):
        generate(make_plan(plan.recipe, 3), store, InProcess())
    assert hashes(store) == before


def test_a_folder_of_other_things_is_refused(tmp_path, plan):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(NotAStore, match="new or empty folder"):
        generate(plan, tmp_path, InProcess())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_sealing_too_early_says_what_is_missing(tmp_path, plan):
    store = tmp_path / "store"
    generate(plan, store, InProcess(), shards=[1])
    missing = len(plan.shards) - 1
    with pytest.raises(Incomplete, match=f"{missing} of {len(plan.shards)} shards missing"):
        seal(store)


def test_sealing_twice_succeeds_and_other_content_is_refused(tmp_path, plan):
    store = tmp_path / "store"
    manifest = generate(plan, store, InProcess())
    assert seal(store) == manifest
    other = dataclasses.replace(manifest, digest="0" * 64)
    (store / ledger.MANIFEST).write_bytes(ledger.encode_manifest(other))
    with pytest.raises(VerificationFailed, match="describes other content"):
        seal(store)


def change_record(store, **changes):
    record = dataclasses.replace(ledger.read_record(store), **changes)
    (store / ledger.RECORD).write_bytes(ledger.encode_record(record))


def test_another_version_or_machine_may_not_add_to_a_store(tmp_path, plan):
    store = tmp_path / "store"
    generate(plan, store, InProcess(), shards=[0])
    record = ledger.read_record(store)
    change_record(store, fingerprint=record.fingerprint | {"probe": "other", "libc": "musl"})
    with pytest.raises(NumericMismatch, match=r"\(probe, libc differ\)"):
        generate(plan, store, InProcess())
    with pytest.raises(NumericMismatch):
        fill.fill_shard(store, 1)
    change_record(store, fingerprint=record.fingerprint, mistdata="0.0.1")
    with pytest.raises(NumericMismatch, match=r"begun by mistdata 0.0.1"):
        generate(plan, store, InProcess())


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_failing_disk_leaves_no_partial_file_and_a_resumable_store(
    tmp_path, plan, small_store, monkeypatch, code
):
    store = tmp_path / "store"
    generate(plan, store, InProcess(), shards=[0])
    before = hashes(store)

    def failing_fsync(descriptor):
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(commit.os, "fsync", failing_fsync)
        with pytest.raises(Incomplete, match="make room or mend the disk"):
            generate(plan, store, InProcess())
    assert hashes(store) == before
    generate(plan, store, InProcess())
    assert hashes(store) == hashes(small_store)


def test_the_log_tells_time_and_host_of_every_shard(tmp_path, plan):
    generate(plan, tmp_path / "store", InProcess())
    (log,) = (tmp_path / "store" / ledger.LOGS).iterdir()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["shard"] for line in lines] == list(range(len(plan.shards)))
    assert {"time", "host", "seconds", "datasets", "bytes"} <= lines[0].keys()
