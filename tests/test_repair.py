"""`repair` makes again what is damaged, byte for byte, and nothing else."""

import hashlib
import os
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from mistdata.cli import cli
from mistdata.errors import NotAStore, NumericMismatch, OtherPlan, VerificationFailed
from mistdata.pipeline.plan import make_plan
from mistdata.pipeline.recipe import read_recipe
from mistdata.pipeline.run import InProcess, generate
from mistdata.repair import repair
from mistdata.store import ledger
from mistdata.store.commit import write_durably
from mistdata.store.seal import seal
from mistdata.verify import verify
from tests.damage import flip


def contents(store):
    """Every file but the logs, by its hash."""
    return {
        path.relative_to(store).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in store.rglob("*")
        if path.is_file() and ledger.LOGS not in path.parts
    }


def mended(store, small_store, **options):
    """Repair, and require the bytes of the undamaged store."""
    done = repair(store, InProcess(), **options)
    assert done.after.ok
    assert contents(store) == contents(small_store)
    assert [path.name for path in store.parent.iterdir()] == [store.name]
    return set(done.made)


def test_an_intact_store_is_left_alone(store, small_store):
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*")}
    assert mended(store, small_store) == set()
    assert {path: path.stat().st_mtime_ns for path in store.rglob("*")} == before


FILES = (
    "plan.parquet", "catalog.parquet", "manifest.json", "zarr.json", "train/zarr.json",
    "README.md",
    "train/values/zarr.json", "_receipts/train/0.json", "train/values/c/1",
    "validation/values/c/0",
)  # fmt: skip
DAMAGES = [(name, damage) for name in FILES for damage in ("flip", "cut", "remove")]
DAMAGES.remove(("manifest.json", "remove"))  # see below


@pytest.mark.parametrize(("name", "damage"), DAMAGES)
def test_one_damaged_file_is_made_again(store, small_store, name, damage):
    path = store / name
    if damage == "flip":
        flip(path, path.stat().st_size // 3)
    elif damage == "cut":
        os.truncate(path, path.stat().st_size // 2)
    else:
        path.unlink()
    made = mended(store, small_store)
    assert name in made
    if name != ledger.CATALOG:  # receipts are doubted where they differ from a damaged catalog
        receipt = name.replace("values/c", "x").replace("/x/", "/") + ".json"
        assert made <= {name, f"_receipts/{receipt}"}


@pytest.mark.parametrize("name", ["zarr.json", "train/zarr.json", "train/values/zarr.json"])
def test_damage_that_no_manifest_names_any_more_is_not_sealed_in(store, small_store, name):
    flip(store / name, 0)
    flip(store / ledger.MANIFEST, 0)
    assert {problem.path for problem in verify(store).problems} == {ledger.MANIFEST, name}
    assert mended(store, small_store) == {ledger.MANIFEST, name}


@pytest.mark.parametrize("name", ["zarr.json", "train/values/zarr.json"])
def test_a_damaged_zarr_json_is_not_sealed(store, name):
    (store / ledger.MANIFEST).unlink()
    flip(store / name, 0)
    assert [problem.path for problem in verify(store).problems] == [name]
    with pytest.raises(VerificationFailed, match=f"{name}.*mistdata repair"):
        seal(store)


def test_a_recipe_that_is_not_that_of_the_store_is_refused(store, small_recipe):
    for limit in (None, 3):
        recipe = read_recipe(small_recipe)
        if limit is None:
            assert repair(store, InProcess(), recipe=recipe).made == ()
        else:
            with pytest.raises(OtherPlan, match=r"not made from .*, or with another --limit"):
                repair(store, InProcess(), recipe=recipe, limit=limit)


def test_a_store_without_a_manifest_is_one_that_is_not_sealed(store, small_store):
    (store / ledger.MANIFEST).unlink()
    assert not repair(store, InProcess()).after.sealed
    seal(store)
    assert contents(store) == contents(small_store)


def test_swapped_shards_return_to_their_places(store, small_store):
    one, other = store / "train/values/c/0", store / "train/values/c/1"
    one.rename(store.parent / "aside")
    other.rename(one)
    (store.parent / "aside").rename(other)
    assert {"train/values/c/0", "train/values/c/1"} <= mended(store, small_store)


def test_many_damaged_files_at_once(store, small_store):
    rng = np.random.default_rng(7)
    files = [name for name in contents(store) if name != ledger.RECORD]
    chosen = rng.choice(files, 8, replace=False).tolist()
    for name in chosen:
        flip(store / name, int(rng.integers((store / name).stat().st_size)))
    assert set(chosen) <= mended(store, small_store)


@pytest.mark.parametrize("name", ["catalog.parquet", "manifest.json", "train/values/c/0"])
def test_a_published_copy_without_receipts_stays_without(store, small_store, name):
    shutil.rmtree(store / ledger.RECEIPTS)
    flip(store / name, 100)
    assert name in repair(store, InProcess()).made
    assert verify(store).ok
    expected = contents(small_store)
    assert contents(store) == {
        name: sha for name, sha in expected.items() if not name.startswith(ledger.RECEIPTS)
    }


def test_a_damaged_plan_asks_for_the_recipe(store, small_store, small_recipe):
    flip(store / ledger.RECORD, 50)
    with pytest.raises(NotAStore, match="give --recipe"):
        repair(store, InProcess())
    assert mended(store, small_store, recipe=read_recipe(small_recipe)) == {ledger.RECORD}


def test_another_recipe_is_refused(store, small_recipe):
    (store / ledger.RECORD).unlink()
    before = contents(store)
    with pytest.raises(OtherPlan, match="the manifest belongs to the plan"):
        repair(store, InProcess(), recipe=read_recipe(small_recipe), limit=3)
    assert contents(store) == before


def test_a_machine_that_computes_other_bytes_is_refused(store, monkeypatch):
    flip(store / "train/values/c/0", 100)
    monkeypatch.setattr("mistdata.pipeline.fill.fingerprint", lambda: {"probe": "other"})
    before = contents(store)
    with pytest.raises(NumericMismatch):
        repair(store, InProcess())
    assert contents(store) == before


def test_what_does_not_become_what_the_manifest_names_changes_nothing(store):
    """A manifest that lists another hash, with its checksum put right, as a forger would."""
    manifest = ledger.read_manifest(store)
    manifest.files["train/values/c/0"]["sha256"] = "0" * 64
    write_durably(store / ledger.MANIFEST, [ledger.encode_manifest(manifest)])
    before = contents(store)
    with pytest.raises(VerificationFailed, match="still not the one in the manifest"):
        repair(store, InProcess())
    assert contents(store) == before


def test_a_store_that_is_not_sealed_is_repaired_and_stays_unsealed(tmp_path, small_recipe):
    store = tmp_path / "store"
    generate(make_plan(read_recipe(small_recipe)), store, InProcess(), shards=[0, 1])
    flip(store / "train/values/c/0", 100)
    done = repair(store, InProcess())
    assert "train/values/c/0" in done.made
    assert done.after.ok and not done.after.sealed and done.after.missing


def test_an_interrupted_repair_goes_on(store, small_store, monkeypatch):
    for number in (0, 1):
        flip(store / f"train/values/c/{number}", 100)

    class Stops(InProcess):
        def run(self, store, task, indices, on_filled):
            super().run(store, task, indices[:1], on_filled)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        repair(store, Stops())
    computed = []
    mended(store, small_store, on_filled=lambda filled: computed.append(filled.shard))
    assert computed == [1]


def test_the_command_line_says_what_it_made_and_what_is_left(store):
    flip(store / "train/values/c/1", 100)
    (store / "train/values/c/99").write_bytes(b"?")
    result = CliRunner().invoke(cli, ["repair", str(store), "--in-process"])
    assert "made again:" in result.output and "train/values/c/1" in result.output
    assert isinstance(result.exception, VerificationFailed)
    assert "train/values/c/99: a file that is not part of the store" in str(result.exception)
    (store / "train/values/c/99").unlink()
    result = CliRunner().invoke(cli, ["repair", str(store), "--in-process"])
    assert result.exit_code == 0
    assert "nothing to repair" in result.output


def test_a_limit_without_a_recipe_is_misuse(store):
    result = CliRunner().invoke(cli, ["repair", str(store), "--limit", "3"])
    assert result.exit_code == 2
    assert "--limit goes with --recipe" in result.output
