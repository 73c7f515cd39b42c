"""The Zarr layout of a store: names, metadata and shard bytes. The only file that knows Zarr.

Each split is one flat float32 Zarr v3 array, sharded, uncompressed. The index of a shard lies at
its end, so the front of the file is the plain little-endian values and can be mapped into memory.
Shards are encoded here rather than by Zarr because Zarr's local store does not sync to disk; a
test holds both to the same bytes.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np

from mistdata.distributions.priors import Array
from mistdata.store.place import Remote

INNER_CHUNK = 65_536
MOST_VALUES = 1 << 28  # of a shard: 1 GiB
FORMAT = 1


def require_shard_length(length: int) -> None:
    """Refuse lengths that no shard has.

    Raises:
        ValueError: it is not a number of whole chunks.
    """
    if not 0 < length <= MOST_VALUES or length % INNER_CHUNK:
        raise ValueError(f"shard_length must be a multiple of {INNER_CHUNK}, got {length}")


def require_inside(names: Iterable[str]) -> None:
    """Refuse names of files that do not lie within a store.

    Raises:
        ValueError: naming the first.
    """
    for name in names:
        parts = name.split("/")
        if "\0" in name or any(part in ("", ".", "..") for part in parts):
            raise ValueError(f"{name[:80]!r} is not a path within a store")


def values_folder(split: str) -> str:
    """Return the path of a split's array, relative to the store."""
    return f"{split}/values"


def shard_name(split: str, shard: int) -> str:
    """Return the path of a shard file, relative to the store."""
    return f"{values_folder(split)}/c/{shard}"


def metadata_files(splits: Iterable[str]) -> list[str]:
    """Return the paths of every zarr.json, relative to the store."""
    files = ["zarr.json"]
    for split in splits:
        files += [f"{split}/zarr.json", f"{values_folder(split)}/zarr.json"]
    return files


def metadata(
    shards: Mapping[str, int], shard_length: int, attributes: dict[str, Any]
) -> dict[str, bytes]:
    """Return every zarr.json of a store.

    Args:
        shards: how many each split has.
        shard_length: values in a shard.
        attributes: of the root group.

    Returns:
        The bytes of each path relative to the store.
    """
    contents = [group_metadata(attributes)]
    for count in shards.values():
        contents += [group_metadata({}), array_metadata(count, shard_length)]
    return dict(zip(metadata_files(shards), contents, strict=True))


def group_metadata(attributes: dict[str, Any]) -> bytes:
    """Return zarr.json of the root group or of a split."""
    return _dump({"attributes": attributes, "zarr_format": 3, "node_type": "group"})


def array_metadata(shards: int, shard_length: int) -> bytes:
    """Return zarr.json of a split's values."""
    little = {"name": "bytes", "configuration": {"endian": "little"}}
    sharding = {
        "chunk_shape": [INNER_CHUNK],
        "codecs": [little],
        "index_codecs": [little, {"name": "crc32c"}],
        "index_location": "end",
    }
    return _dump(
        {
            "shape": [shards * shard_length],
            "data_type": "float32",
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [shard_length]}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": "NaN",
            "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
            "attributes": {},
            "zarr_format": 3,
            "node_type": "array",
            "storage_transformers": [],
        }
    )


@cache
def shard_index(shard_length: int) -> bytes:
    """Return the index at the end of every full shard: (offset, bytes) per chunk, then crc32c."""
    size = INNER_CHUNK * 4
    entries = [(i * size, size) for i in range(shard_length // INNER_CHUNK)]
    index = b"".join(struct.pack("<QQ", *entry) for entry in entries)
    return index + struct.pack("<I", google_crc32c.value(index))


def shard_file_size(shard_length: int) -> int:
    """Return the size in bytes of every shard file."""
    return shard_length * 4 + len(shard_index(shard_length))


def is_mappable(folder: Path, shard_length: int) -> bool:
    """Tell whether an array is stored as this version lays it out, so that it can be mapped."""
    found = json.loads((folder / "zarr.json").read_bytes())
    length = found.get("shape", [0])[0]
    expected = json.loads(array_metadata(length // shard_length, shard_length))
    keys = ("data_type", "chunk_grid", "chunk_key_encoding", "codecs", "storage_transformers")
    return all(found.get(key, []) == expected[key] for key in keys)


def map_shard(path: Path, shard_length: int) -> Array:
    """Map the values of a shard file into memory, read-only.

    Raises:
        ValueError: the file has the wrong size or does not end in the index of a full shard.
    """
    size = path.stat().st_size
    if size != shard_file_size(shard_length):
        raise ValueError(f"{path}: expected {shard_file_size(shard_length)} bytes, found {size}")
    mapped = np.memmap(path, dtype=np.uint8, mode="r")
    if mapped[shard_length * 4 :].tobytes() != shard_index(shard_length):
        raise ValueError(f"{path}: the index of the shard is not that of a full shard")
    return np.asarray(mapped)[: shard_length * 4].view("<f4")


def open_array(folder: Path) -> Any:
    """Open an array through Zarr itself."""
    import zarr

    if isinstance(folder, Remote):
        from zarr.storage import ObjectStore

        bucket = ObjectStore(folder.client, read_only=True)
        return zarr.open_array(bucket, path=folder.key, mode="r", zarr_format=3)
    return zarr.open_array(str(folder), mode="r", zarr_format=3)


def _dump(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=2).encode() + b"\n"
