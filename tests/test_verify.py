"""`verify` finds every damage, and names the file and the datasets."""

import hashlib
import os
import shutil
import sys

import google_crc32c
import numpy as np
import pyarrow as pa
import pytest

from mistdata.errors import MistdataError
from mistdata.pipeline.plan import make_plan
from mistdata.pipeline.recipe import read_recipe
from mistdata.pipeline.run import InProcess, generate
from mistdata.store import catalog, ledger
from mistdata.verify import verify
from tests.damage import flip


def only_problem(store):
    (problem,) = verify(store).problems
    return problem


def test_an_intact_store_passes(small_store):
    report = verify(small_store, threads=2)
    assert report.ok
    assert report.checked["datasets"] == 260
    assert report.checked["shards"] == report.checked["receipts"] > 2


def test_a_flipped_bit_names_the_shard_and_the_dataset(store):
    flip(store / "train/values/c/1", 5000)
    problem = only_problem(store)
    assert problem.path == "train/values/c/1"
    assert problem.message == "the sha256 differs"
    assert len(problem.datasets) == 1


def test_a_flipped_bit_in_the_index_or_the_filling_is_found(store):
    flip(store / "train/values/c/1", -3)
    assert only_problem(store).path == "train/values/c/1"
    flip(store / "train/values/c/1", -3)
    flip(store / "train/values/c/0", -2000)
    assert only_problem(store).path == "train/values/c/0"


@pytest.mark.parametrize(
    "name",
    [
        "plan.json", "plan.parquet", "catalog.parquet", "manifest.json", "zarr.json",
        "train/zarr.json", "train/values/zarr.json", "_receipts/train/0.json",
        "train/values/c/0",
    ],
)  # fmt: skip
def test_random_flips_and_cuts_of_any_file_are_found(store, small_store, name):
    rng = np.random.default_rng(3)
    path, original = store / name, (small_store / name).read_bytes()
    for position in rng.integers(0, len(original), 12).tolist():
        flip(path, position, int(rng.integers(8)))
        assert found(store), f"bit flip at {position}"
        path.write_bytes(original)
    for size in (0, 1, len(original) // 2, len(original) - 1):
        os.truncate(path, size)
        assert found(store), f"cut to {size}"
        path.write_bytes(original)
    path.unlink()
    assert found(store), "missing"


@pytest.mark.slow
def test_thousands_of_flips_of_any_byte_are_found(store, small_store, capsys):
    rng = np.random.default_rng(11)
    names = sorted(p.relative_to(store).as_posix() for p in store.rglob("*") if p.is_file())
    names = [name for name in names if not name.startswith("logs/")]
    tried = missed = 0
    for name in names:
        path, original = store / name, (small_store / name).read_bytes()
        for position in rng.integers(0, len(original), 60).tolist():
            flip(path, position, int(rng.integers(8)))
            tried += 1
            missed += not found(store)
            path.write_bytes(original)
    with capsys.disabled():
        sys.stdout.write(f" {tried} bits flipped in {len(names)} files, {tried - missed} found ")
    assert missed == 0


def found(store):
    """Tell whether the command line would report something wrong."""
    try:
        report = verify(store)
    except MistdataError:
        return True
    return not (report.ok and report.sealed)


@pytest.mark.parametrize("damage", ["flip", "remove"])
def test_without_a_plan_the_manifest_tells(store, damage):
    path = store / ledger.RECORD
    if damage == "flip":
        flip(path, 100)
    else:
        path.unlink()
    problem = only_problem(store)
    assert problem.path == ledger.RECORD
    assert problem.message.endswith("; `mistdata repair --recipe RECIPE` makes it again")
    flip(store / "train/values/c/1", 5000)
    assert [each.path for each in verify(store).problems] == [ledger.RECORD, "train/values/c/1"]
    (store / ledger.MANIFEST).unlink()
    with pytest.raises(MistdataError):
        verify(store)


def test_swapped_shards_are_found(store):
    one, other = store / "train/values/c/0", store / "train/values/c/1"
    one.rename(store / "aside")
    other.rename(one)
    (store / "aside").rename(other)
    assert [p.path for p in verify(store).problems] == ["train/values/c/0", "train/values/c/1"]


def test_a_foreign_file_is_found(store):
    (store / "train/values/c/99").write_bytes(b"?")
    assert only_problem(store).message == "a file that is not part of the store"


def rewrite_receipt(store, index, change):
    """Write a receipt that a careless or malicious writer could leave."""
    _, shards = ledger.read_planned(store, ledger.read_record(store))
    receipt = ledger.read_receipt(store, shards[index])
    change(receipt.labels)
    (store / shards[index].receipt).write_bytes(ledger.encode_receipt(receipt))


def test_a_changed_label_in_a_receipt_is_found(store):
    rewrite_receipt(store, 0, lambda columns: columns["mi"].__setitem__(0, 9.0))
    assert only_problem(store).message == "the labels are not those of the catalog"


def test_a_changed_label_in_receipt_catalog_and_hash_breaks_the_digest(store):
    rewrite_receipt(store, 0, lambda columns: columns["mi"].__setitem__(0, 9.0))
    table = catalog.read_catalog(store / ledger.CATALOG)
    mi = table["mi"].to_pylist()
    mi[0] = 9.0
    position = table.column_names.index("mi")
    table = table.set_column(position, "mi", pa.array(mi))
    record = ledger.read_record(store)
    content = catalog.encode_catalog(table, {"plan": record.plan, "mistdata": record.mistdata})
    (store / ledger.CATALOG).write_bytes(content)
    manifest = ledger.read_manifest(store)
    sha256 = hashlib.sha256(content).hexdigest()
    manifest.files[ledger.CATALOG] = {"size": len(content), "sha256": sha256}
    (store / ledger.MANIFEST).write_bytes(ledger.encode_manifest(manifest))
    assert "content digest" in only_problem(store).message


def test_a_value_that_is_not_finite_is_found_even_with_matching_hashes(store):
    path = store / "train/values/c/0"
    content = bytearray(path.read_bytes())
    content[:4] = np.float32(np.nan).tobytes()
    path.write_bytes(content)
    rows = catalog.read_catalog(store / ledger.CATALOG).slice(0, 1).to_pylist()[0]
    size = rows["n"] * (rows["dim_x"] + rows["dim_y"])
    crc = google_crc32c.value(bytes(content[: 4 * size]))
    rewrite_receipt(store, 0, lambda columns: columns["crc32c"].__setitem__(0, crc))
    problems = [p for p in verify(store).problems if p.path == "train/values/c/0"]
    assert problems[0].datasets == (0,)


def test_a_store_without_receipts_is_judged_by_its_manifest(store):
    shutil.rmtree(store / ledger.RECEIPTS)
    assert verify(store).ok
    flip(store / "validation/values/c/0", 10)
    assert only_problem(store).path == "validation/values/c/0"


def test_an_unsealed_store_is_intact_but_incomplete(tmp_path, small_recipe):
    store = tmp_path / "store"
    plan = make_plan(read_recipe(small_recipe))
    generate(plan, store, InProcess(), shards=[0, 1])
    report = verify(store)
    assert report.ok
    assert report.missing == len(plan.shards) - 2
    flip(store / "train/values/c/0", 0)
    assert only_problem(store).datasets == (0,)
