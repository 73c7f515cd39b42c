"""The values of a split, read from a memory map, from local copies, or through Zarr."""

from __future__ import annotations

import os
import resource
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

import numpy as np

from mistdata.distributions.priors import Array
from mistdata.errors import VerificationFailed
from mistdata.store import layout
from mistdata.store.cache import Cache
from mistdata.store.place import Remote

FETCHING = 8  # shards at a time
_SPARE_DESCRIPTORS = 256
_MOST_MAPPED = 1024  # copies of shards that a reader holds at a time


class MappedValues:
    """The values of one split through memory maps of its shard files, opened at first use."""

    def __init__(self, store: Path, split: str, shards: int, shard_length: int) -> None:
        self._paths = [store / layout.shard_name(split, k) for k in range(shards)]
        self._length = shard_length
        self._maps: list[Array | None] = [None] * shards

    def prepare(self, offsets: Array) -> None:
        """Have the files of the shards of many values read into the cache of the disk."""
        paths = [self._paths[shard] for shard in np.unique(offsets // self._length).tolist()]
        with ThreadPoolExecutor(FETCHING) as pool:
            list(pool.map(_read_ahead, paths))

    def view(self, offset: int, size: int) -> Array:
        """Return `size` values from `offset`, without copying."""
        shard, start = divmod(offset, self._length)
        values = self._maps[shard]
        if values is None:
            values = self._open(shard)
        return values[start : start + size]

    def _open(self, shard: int) -> Array:
        try:
            values = layout.map_shard(self._paths[shard], self._length)
        except ValueError as error:
            raise VerificationFailed(str(error)) from None
        self._maps[shard] = values
        return values


def _read_ahead(path: Path) -> None:
    """Have a file read by the operating system, which keeps it; no byte of it is copied here."""
    with path.open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)


class FetchedValues:
    """The values of one split through local copies of remote shard files."""

    def __init__(
        self, paths: list[Path], sha256s: list[str], shard_length: int, cache: Cache
    ) -> None:
        self._paths, self._sha256s = paths, sha256s
        self._length, self._cache = shard_length, cache
        fitting = cache.most // layout.shard_file_size(shard_length)
        self._most = min(max(1, fitting), _MOST_MAPPED)
        self._maps: OrderedDict[int, Array] = OrderedDict()
        self._lock = Lock()

    def prepare(self, offsets: Array) -> None:
        """Fetch the shards of many values, several at a time."""
        wanted = np.unique(offsets // self._length).tolist()
        missing = [shard for shard in wanted if shard not in self._maps][: self._most]
        if len(missing) > 1:
            with ThreadPoolExecutor(FETCHING) as pool:
                list(pool.map(self._shard, missing))

    def view(self, offset: int, size: int) -> Array:
        """Return `size` values from `offset`, without copying."""
        shard, start = divmod(offset, self._length)
        return self._shard(shard)[start : start + size]

    def _shard(self, shard: int) -> Array:
        with self._lock:
            if shard in self._maps:
                self._maps.move_to_end(shard)
                return self._maps[shard]
        values = self._fetch(shard)
        with self._lock:
            self._maps[shard] = values
            while len(self._maps) > self._most:
                self._maps.popitem(last=False)
        return values

    def _fetch(self, shard: int) -> Array:
        remote = self._paths[shard]
        for _ in range(2):
            try:
                copy = self._cache.copy(remote, self._sha256s[shard])
                return layout.map_shard(copy, self._length)
            except FileNotFoundError as error:
                # Either there is no such object, or another process made room in the cache.
                if error.filename == str(remote):
                    raise VerificationFailed(f"{remote}: missing") from None
            except ValueError as error:
                raise VerificationFailed(f"{remote}: {error}") from None
        raise VerificationFailed(f"{remote}: the cache is too small to hold its copy")


class ZarrValues:
    """The values of one split through Zarr, for stores laid out differently."""

    def prepare(self, offsets: Array) -> None:
        """Do nothing: how such a store lies on the disk is not known."""

    def __init__(self, store: Path, split: str) -> None:
        self._array = layout.open_array(store / layout.values_folder(split))

    def view(self, offset: int, size: int) -> Array:
        """Return `size` values from `offset`."""
        values: Array = self._array[offset : offset + size]
        values.flags.writeable = False
        return values


Values = MappedValues | FetchedValues | ZarrValues


def open_values(
    store: Path, shards: Mapping[str, int], shard_length: int, sha256s: Mapping[str, str]
) -> dict[str, Values]:
    """Open the values of every split.

    Args:
        store: its place.
        shards: how many each split has.
        shard_length: values in a shard.
        sha256s: of every shard file that can be read.

    Raises:
        VerificationFailed: a split is not a Zarr array.
        Unreachable: the server of a URL does not answer.
    """
    _allow_descriptors(sum(shards.values()) + _SPARE_DESCRIPTORS)
    readers: dict[str, Values] = {}
    for split, count in shards.items():
        readers[split] = _reader(store, split, count, shard_length, sha256s)
    return readers


def _reader(
    store: Path, split: str, shards: int, shard_length: int, sha256s: Mapping[str, str]
) -> Values:
    folder = store / layout.values_folder(split)
    try:
        if not layout.is_mappable(folder, shard_length):
            return ZarrValues(store, split)
        if not isinstance(store, Remote):
            return MappedValues(store, split, shards, shard_length)
        names = [layout.shard_name(split, k) for k in range(shards)]
        return FetchedValues(
            [store / name for name in names],
            [sha256s.get(name, "") for name in names],
            shard_length,
            Cache.of_user(),
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        message = " ".join(str(error).split())
        raise VerificationFailed(f"{folder}: not a Zarr array: {message}") from None


def _allow_descriptors(count: int) -> None:
    """Raise this process's soft limit of open files: every mapped shard holds one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        target = count if hard == resource.RLIM_INFINITY else min(count, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
