"""A reader returns the bits that were written, whichever way it takes."""

import copy
import os
import shutil

import numpy as np
import pytest
import zarr

import mistdata
from mistdata.errors import BadCondition, NotAStore, VerificationFailed
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
    folder_of_copy = tmp_path / "compressed"
    shutil.copytree(small_store, folder_of_copy)
    manifest = ledger.read_manifest(folder_of_copy)
    for split in ("train", "validation"):
        folder = folder_of_copy / layout.values_folder(split)
        values = layout.open_array(folder)[:]
        shutil.rmtree(folder)
        zarr.create_array(
            str(folder), shape=values.shape, chunks=(layout.INNER_CHUNK,), dtype="float32",
            fill_value=float("nan"), zarr_format=3,
        )[:] = values  # fmt: skip
    for split in ("train", "validation"):  # only the metadata of the arrays is held to its size
        del manifest.files[f"{layout.values_folder(split)}/zarr.json"]
    (folder_of_copy / ledger.MANIFEST).write_bytes(ledger.encode_manifest(manifest))
    other = mistdata.open(folder_of_copy)
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


@pytest.mark.parametrize("positions", [[True, False], [1.5], ["1"], [[1]], 3.0])
def test_positions_are_whole_numbers(ds, positions):
    with pytest.raises(TypeError):
        ds.read(np.array(positions) if isinstance(positions, list) else positions)
    with pytest.raises(TypeError, match="a position is a whole number"):
        ds[0:3]


def test_positions_may_come_from_anywhere(ds):
    expected = ds.read([2, 3, 5])[0].tobytes()
    assert ds.read(i for i in (2, 3, 5))[0].tobytes() == expected
    assert ds.read(np.array([2, 3, 5], np.uint8))[0].tobytes() == expected


def test_a_buffer_of_another_type_or_no_rows_are_refused(ds):
    with pytest.raises(TypeError, match="float32 vector, got float64"):
        ds.read([1], out=np.empty(10**6))
    with pytest.raises(ValueError, match="rows must be a whole number >= 1"):
        ds.read([1], rows=0)


def test_a_dataset_can_be_copied_and_compared(ds):
    one = ds[3]
    assert copy.copy(one).mi == one.mi
    assert one == one
    assert one != ds[3]


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


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("famly = 'a'", "no column 'famly'; did you mean 'family'?"),
        ("family = gaussian", "no column 'gaussian'; words take single quotes, as 'train'"),
        ("n >", "it ends too early"),
        ("(n > 3", "it ends too early"),
        ("", "it ends too early"),
        ("n > 3 adn n < 9", 'syntax error at or near "adn"'),
        ("n = 'a'", "Could not convert string 'a' to INT32"),
    ],
)
def test_of_a_condition_only_what_is_wrong_is_said(ds, condition, reason):
    with pytest.raises(BadCondition) as caught:
        ds.where(condition)
    assert str(caught.value) == f"where {condition!r}: {reason}"


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("n < 0", ""),
        ("FAMILY = 'gausian-lvm'", ": no family is 'gausian-lvm'; did you mean 'gaussian-lvm'?"),
        ("split in ('qqq', 'rrr') and n > 1", ": no split is 'qqq'"),
        ("family like 'q%'", ""),
        ("family = 'gaussian-lvm' and split = 'trian'", ": no split or family is 'trian'; did you"
         " mean 'train'?"),
    ],
)  # fmt: skip
def test_where_nothing_is_met_a_word_that_is_not_there_is_named(ds, condition, reason):
    with pytest.raises(BadCondition) as caught:
        ds.some_where(condition)
    assert str(caught.value) == f"{ds.path}: no dataset meets {condition!r}{reason}"


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
    where = tmp_path / "copy"
    shutil.copytree(small_store, where)
    os.truncate(where / name, 100)
    with pytest.raises((VerificationFailed, NotAStore), match=name):
        mistdata.open(where)
    (where / name).unlink()
    with pytest.raises((VerificationFailed, NotAStore), match=r"missing|no plan.json"):
        mistdata.open(where)


def test_a_missing_attribute_of_the_package_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'opne'"):
        _ = mistdata.opne


@pytest.mark.parametrize("name", ["catalog.parquet", "train/values/zarr.json"])
def test_a_flipped_bit_is_found_or_harmless_when_opening(tmp_path, small_store, name):
    where = tmp_path / "copy"
    shutil.copytree(small_store, where)
    content = bytearray((where / name).read_bytes())
    content[len(content) // 3] ^= 0x80
    (where / name).write_bytes(content)
    with pytest.raises(VerificationFailed, match=r"catalog.parquet|not a Zarr array"):
        mistdata.open(where)


def test_padded_datasets_are_the_packed_ones_with_zeros_around(ds):
    packed = ds.read([5, 0, 77, 5])
    padded = packed.padded()
    assert padded.x.shape == (4, *packed.shapes[:, :2].max(axis=0))
    assert padded.y.shape[2] == packed.shapes[:, 2].max()
    for k, position in enumerate([5, 0, 77, 5]):
        one, (n, dim_x, dim_y) = ds[position], packed.shapes[k]
        np.testing.assert_array_equal(padded.x[k, :n, :dim_x], one.x)
        np.testing.assert_array_equal(padded.y[k, :n, :dim_y], one.y)
        assert padded.mask[k].sum() == n and padded.mask[k, :n].all()
    values = sum(np.abs(ds[k].x).sum() + np.abs(ds[k].y).sum() for k in (5, 0, 77, 5))
    assert np.abs(padded.x).sum() + np.abs(padded.y).sum() == pytest.approx(values, rel=1e-4)
    nothing = ds.read([]).padded()
    assert nothing.x.shape == nothing.y.shape == (0, 0, 0)
