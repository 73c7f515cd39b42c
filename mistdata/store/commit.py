"""Durable writes: after one returns, the whole file is there, also after a power cut.

A file becomes visible by a rename or a link of a complete, synced temporary file; its folder is
synced after. No locks, no leases, no clocks.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

_TEMPORARY = ".tmp"
_BLOCK = 1 << 22


def write_durably(path: Path, chunks: Iterable[bytes | memoryview]) -> None:
    """Write a file, replacing an older one; on any error nothing becomes visible."""
    with _temporary(path, chunks) as temporary:
        temporary.replace(path)
        sync_folder(path.parent)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that shows by itself whether it is whole; a power cut may take it back."""
    with _temporary(path, [content], sync=False) as temporary:
        temporary.replace(path)


def create_exclusively(path: Path, content: bytes) -> bool:
    """Write a file unless it exists; return whether this call created it."""
    with _temporary(path, [content]) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            return False
        sync_folder(path.parent)
        return True


def make_folder(path: Path) -> None:
    """Create a folder and its parents durably."""
    missing = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in reversed(missing):
        sync_folder(folder.parent)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """Hash a file in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files that killed writers left in a folder."""
    for path in folder.iterdir():
        if is_leftover(path):
            path.unlink(missing_ok=True)


def is_leftover(path: Path) -> bool:
    """Tell whether a file is one that a writer was at, or left when it was killed."""
    return path.name.startswith(".") and path.name.endswith(_TEMPORARY)


@contextmanager
def _temporary(
    path: Path, chunks: Iterable[bytes | memoryview], *, sync: bool = True
) -> Iterator[Path]:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}{_TEMPORARY}")
    try:
        with temporary.open("xb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
