"""Our bytes are Zarr's bytes."""

import json

import numpy as np
import pytest
import zarr

from mistdata.store import layout
from mistdata.store.ledger import read_record


def zarr_array(path, shards, shard_length):
    return zarr.create_array(
        str(path),
        shape=(shards * shard_length,),
        shards=(shard_length,),
        chunks=(layout.INNER_CHUNK,),
        dtype="float32",
        compressors=None,
        fill_value=float("nan"),
        config={"write_empty_chunks": True},
        zarr_format=3,
    )


@pytest.mark.parametrize("shard_length", [262_144, 1_048_576])
def test_a_shard_is_what_zarr_writes(tmp_path, shard_length):
    values = np.random.default_rng(0).standard_normal(2 * shard_length).astype(np.float32)
    values[-1000:] = np.nan
    zarr_array(tmp_path / "a", 2, shard_length)[:] = values
    for shard in (0, 1):
        ours = values[shard * shard_length :][:shard_length].tobytes()
        ours += layout.shard_index(shard_length)
        assert (tmp_path / "a" / "c" / str(shard)).read_bytes() == ours
        assert len(ours) == layout.shard_file_size(shard_length)


def test_the_metadata_is_what_zarr_writes(tmp_path):
    zarr_array(tmp_path / "a", 3, 262_144)
    ours = json.loads(layout.array_metadata(3, 262_144))
    assert json.loads((tmp_path / "a" / "zarr.json").read_bytes()) == ours
    zarr.create_group(str(tmp_path / "g"), attributes={"plan": "x"})
    ours = json.loads(layout.group_metadata({"plan": "x"}))
    assert json.loads((tmp_path / "g" / "zarr.json").read_bytes()) == ours


def test_any_zarr_reader_reads_the_store(small_store):
    group = zarr.open_group(str(small_store), mode="r")
    record = read_record(small_store)
    values = group["train/values"][:]
    shard = layout.map_shard(small_store / layout.shard_name("train", 1), record.shard_length)
    assert values[record.shard_length : 2 * record.shard_length].tobytes() == shard.tobytes()


def test_only_our_layout_is_mapped(tmp_path):
    zarr_array(tmp_path / "plain", 1, 262_144)
    assert layout.is_mappable(tmp_path / "plain", 262_144)
    assert not layout.is_mappable(tmp_path / "plain", 524_288)
    zarr.create_array(
        str(tmp_path / "packed"), shape=(262_144,), shards=(262_144,), chunks=(65_536,),
        dtype="float32", fill_value=float("nan"), zarr_format=3,
    )  # fmt: skip
    assert not layout.is_mappable(tmp_path / "packed", 262_144)


def test_a_shard_of_wrong_size_or_index_is_not_mapped(tmp_path):
    good = bytes(1 << 20) + layout.shard_index(262_144)
    (tmp_path / "good").write_bytes(good)
    assert (layout.map_shard(tmp_path / "good", 262_144) == 0).all()
    (tmp_path / "short").write_bytes(good[:-1])
    with pytest.raises(ValueError, match="expected 1048644 bytes, found 1048643"):
        layout.map_shard(tmp_path / "short", 262_144)
    (tmp_path / "other").write_bytes(good[:-1] + b"x")
    with pytest.raises(ValueError, match="the index of the shard"):
        layout.map_shard(tmp_path / "other", 262_144)
