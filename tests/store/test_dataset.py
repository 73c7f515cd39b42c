"""A reader returns the bits that were written, whichever way it takes."""

import os
import shutil

import numpy as np
import pytest
import zarr

import mistdata
from mistdata.errors import NotAStore, VerificationFailed
from mistdata.pipeline.plan import make_plan
from mistdata.pipeline.recipe import read_recipe
from mistdata.pipeline.run import InProcess, generate
from mistdata.store import layout, ledger


@pytest.fixture(scope="module")
def ds(small_store):
    return mistdata.open(small_store)


def plain(small_store, ds):
    """Read every dataset through Zarr and the catalog alone, as somebody without mistdata."""
    group = zarr.open_group(str(small_store), mode="r")
    arrays = {name: group[f"{name}/values"][:] for name in ("train", "validation")}
    for row in ds.catalog.to_pylist():
        size = row["n"] * (row["dim_x"] + row["dim_y"])
        yield arrays[row["split"]][row["offset"] : row["offset"] + size]


def test_reads_equal_plain_zarr(small_store, ds):
    values, shapes = ds.read(range(len(ds)))
    start = 0
    for expected, (n, dim_x, dim_y) in zip(plain(small_store, ds), shapes, strict=True):
        size = n * (dim_x + dim_y)
        assert values[start : start + size].tobytes() == expected.tobytes()
        start += size
    assert start == len(values)


def test_single_datasets_equal_packed_reads(ds):
    for position in (0, 3, 199, 200, len(ds) - 1, -1):
        one = ds[position]
        packed, ((n, dim_x, dim_y),) = ds.read([position % len(ds)])
        assert one.x.shape == (n, dim_x)
        assert one.y.shape == (n, dim_y)
        both = np.concatenate([one.x, one.y], axis=1)
        assert both.tobytes() == packed.tobytes()
        assert not one.x.flags.writeable


def test_a_store_laid_out_differently_is_read_through_zarr(tmp_path, small_store, ds):
    copy = tmp_path / "compressed"
    shutil.copytree(small_store, copy)
    manifest = ledger.read_manifest(copy)
    for split in ("train", "validation"):
        folder = copy / layout.values_folder(split)
        values = layout.open_array(folder)[:]
        shutil.rmtree(folder)
        zarr.create_array(
            str(folder), shape=values.shape, chunks=(layout.INNER_CHUNK,), dtype="float32",
            fill_value=float("nan"), zarr_format=3,
        )[:] = values  # fmt: skip
    for name in [name for name in manifest.files if "values" in name]:
        del manifest.files[name]
    (copy / ledger.MANIFEST).write_bytes(ledger.encode_manifest(manifest))
    other = mistdata.open(copy)
    everything = range(len(ds))
    assert other.read(everything)[0].tobytes() == ds.read(everything)[0].tobytes()
    assert other[5].x.tobytes() == ds[5].x.tobytes()


def test_rows_cuts_every_dataset(ds):
    whole, shapes = ds.read([1, 7, 4])
    cut, cut_shapes = ds.read([1, 7, 4], rows=20)
    assert (cut_shapes[:, 0] == 20).all()
    assert (cut_shapes[:, 1:] == shapes[:, 1:]).all()
    first = 20 * shapes[0, 1:].sum()
    assert (cut[:first] == whole[:first]).all()
    with pytest.raises(ValueError, match="rows = 100000: a dataset has only"):
        ds.read([1], rows=100_000)


def test_a_buffer_can_be_reused(ds):
    buffer = np.empty(100_000, np.float32)
    values, _ = ds.read([2], out=buffer)
    assert np.shares_memory(values, buffer)
    with pytest.raises(ValueError, match="out holds 3 values"):
        ds.read([2], out=np.empty(3, np.float32))


def test_no_positions_is_no_values(ds):
    values, shapes = ds.read([])
    assert values.shape == (0,)
    assert shapes.shape == (0, 3)


@pytest.mark.parametrize("position", [-1, 260])
def test_a_position_out_of_range_is_an_index_error(ds, position):
    assert len(ds) == 260
    with pytest.raises(IndexError, match=r"0\.\.259"):
        ds.read([position])
    with pytest.raises(IndexError):
        ds[260]


def test_where_selects_by_sql(ds):
    picked = ds.where("family = 'gaussian-lvm' and n >= 200 and split = 'train'")
    assert 0 < len(picked) < len(ds)
    assert set(picked.column("family")) == {"gaussian-lvm"}
    assert picked.column("n").min() >= 200
    assert [picked[i].dataset_id for i in range(len(picked))] == sorted(
        picked.column("dataset_id")
    )
    assert picked[0].x.tobytes() == ds[picked[0].dataset_id].x.tobytes()
    again = picked.where("dim_x > 3")
    assert (again.column("dim_x") > 3).all()
    assert len(ds.where("split = 'no such split'")) == 0


@pytest.mark.parametrize("condition", ["nn >= 3", "n >=", "1; drop table catalog", ""])
def test_a_condition_that_is_not_sql_is_one_line(ds, condition):
    with pytest.raises(ValueError, match=r"^where ") as caught:
        ds.where(condition)
    assert "\n" not in str(caught.value)


def test_a_condition_cannot_read_files(ds, tmp_path):
    (tmp_path / "secret.csv").write_text("a\n1\n")
    with pytest.raises(ValueError, match="where"):
        ds.where(f"n in (select a from read_csv('{tmp_path}/secret.csv'))")


def test_a_dataset_knows_its_row(ds):
    one = ds[0]
    assert one.mi == ds.column("mi")[0]
    assert one.mi_method == "closed_form"
    assert isinstance(one.params, dict)
    assert "nats" in repr(one)
    with pytest.raises(AttributeError, match="it has x, y, dataset_id"):
        _ = one.mutual


def test_the_catalog_is_arrow_and_pandas_like_types(ds):
    assert ds.catalog.num_rows == len(ds)
    assert ds.column("mi").dtype == np.float64
    assert ds.column("seed_key")[0].tolist() == [0, 0, 0]
    with pytest.raises(KeyError):
        ds.column("nothing")


def test_a_path_that_is_no_store(tmp_path):
    with pytest.raises(NotAStore, match=r"not a mistdata store \(no plan.json\)"):
        mistdata.open(tmp_path)


def test_an_unsealed_store_is_refused_unless_asked_for(tmp_path, small_recipe, ds):
    store = tmp_path / "store"
    plan = make_plan(read_recipe(small_recipe))
    generate(plan, store, InProcess(), shards=[1])
    with pytest.raises(NotAStore, match="not sealed yet"):
        mistdata.open(store)
    partial = mistdata.open(store, allow_partial=True)
    shard = plan.shards[1]
    assert partial.column("dataset_id").tolist() == list(range(shard.start, shard.stop))
    expected = ds.read(range(shard.start, shard.stop))
    assert partial.read(range(len(partial)))[0].tobytes() == expected[0].tobytes()


@pytest.mark.parametrize("name", ["train/values/c/0", "catalog.parquet", "plan.json"])
def test_a_truncated_file_is_found_when_opening(tmp_path, small_store, name):
    copy = tmp_path / "copy"
    shutil.copytree(small_store, copy)
    os.truncate(copy / name, 100)
    with pytest.raises((VerificationFailed, NotAStore), match=name):
        mistdata.open(copy)
    (copy / name).unlink()
    with pytest.raises((VerificationFailed, NotAStore), match=r"missing|no plan.json"):
        mistdata.open(copy)


def test_a_missing_attribute_of_the_package_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'opne'"):
        _ = mistdata.opne
