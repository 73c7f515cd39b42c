"""Durable writes: after one returns, the whole file is there, also after a power cut.

A file becomes visible by a rename or a link of a complete, synced temporary file; its folder is
synced after. No locks, no leases, no clocks. An object of a bucket appears whole, and durable, as
the bucket says; exclusive creation is its put-if-absent.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

import numpy as np

from mistdata.distributions.priors import Array
from mistdata.errors import Unreachable
from mistdata.store.place import Remote

PAGE = 4096
_TEMPORARY = ".tmp"
_BIG = 1 << 20


def page_aligned(length: int) -> Array:
    """Allocate float32 values that start on a page, so that they can be written past the cache."""
    memory = np.empty(4 * length + PAGE, np.uint8)
    start = -memory.ctypes.data % PAGE
    return memory[start : start + 4 * length].view("<f4")


def write_durably(path: Path, chunks: Iterable[bytes | memoryview]) -> None:
    """Write a file, replacing an older one; on any error nothing becomes visible."""
    if isinstance(path, Remote):
        path.write(b"".join(chunks))
        return
    with _temporary(path, chunks) as temporary:
        temporary.replace(path)
        sync_folder(path.parent)


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write a file that shows by itself whether it is whole; a power cut may take it back."""
    if isinstance(path, Remote):
        path.write(bytes(content))
        return
    with _temporary(path, [content], sync=False) as temporary:
        temporary.replace(path)


def create_exclusively(path: Path, content: bytes) -> bool:
    """Write a file unless it exists; return whether this call created it."""
    if isinstance(path, Remote):
        return path.create(content)
    with _temporary(path, [content]) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        sync_folder(path.parent)
        return True


def make_folder(path: Path) -> list[Path]:
    """Create a folder and its parents durably; buckets need none.

    Returns:
        The folders that were missing, the innermost first.
    """
    if isinstance(path, Remote):
        return []
    missing = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in reversed(missing):
        sync_folder(folder.parent)
    return missing


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    _sync(path, os.O_DIRECTORY)


def sync_files(paths: Iterable[Path]) -> None:
    """Make files durable that `write_whole` wrote."""
    folders = set()
    for path in paths:
        if isinstance(path, Remote):
            continue
        _sync(path)
        folders.add(path.parent)
    for folder in folders:
        sync_folder(folder)


def _sync(path: Path, flags: int = 0) -> None:
    descriptor = os.open(path, os.O_RDONLY | flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """Hash a file in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files that killed writers left in a folder; buckets have none."""
    if isinstance(folder, Remote):
        return
    for path in folder.iterdir():
        if is_leftover(path):
            path.unlink(missing_ok=True)


def is_leftover(path: Path) -> bool:
    """Tell whether a file is one that a writer was at, or left when it was killed."""
    return path.name.startswith(".") and path.name.endswith(_TEMPORARY)


@contextmanager
def appending(path: Path) -> Iterator[TextIO]:
    """Open a log for new lines; an object of a bucket is written when the block ends."""
    if not isinstance(path, Remote):
        with path.open("a") as file:
            yield file
        return
    lines = io.StringIO()
    try:
        yield lines
    finally:
        with suppress(Unreachable):  # no store depends on its logs
            path.write(lines.getvalue().encode())


@contextmanager
def _temporary(
    path: Path, chunks: Iterable[bytes | memoryview], *, sync: bool = True
) -> Iterator[Path]:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}{_TEMPORARY}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            for chunk in chunks:
                _write(descriptor, memoryview(chunk).cast("B"))
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _write(descriptor: int, content: memoryview) -> None:
    done = _write_past_cache(descriptor, content)
    while done < len(content):
        done += os.write(descriptor, content[done:])


def _write_past_cache(descriptor: int, content: memoryview) -> int:
    """Write whole pages straight from memory to disk; return how many bytes.

    The page cache costs several times the processor time of the write itself, and a store is
    larger than the cache. Where the file system or the alignment does not allow it, write nothing.
    """
    address = np.frombuffer(content, np.uint8).ctypes.data if content else 0
    start = os.lseek(descriptor, 0, os.SEEK_CUR)
    if len(content) < _BIG or (address | start | len(content)) % PAGE:
        return 0
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_DIRECT)
        return os.write(descriptor, content)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return 0
    finally:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, flags)
