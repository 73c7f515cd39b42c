"""Local copies of remote files, by their sha256: bounded, shared by all processes of a user.

A copy is hashed when it is fetched and again when it is first used; the least recently used ones
make room. Who maps a copy keeps it, also when it was removed meanwhile.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from mistdata.errors import MistdataError, VerificationFailed
from mistdata.store.commit import is_leftover, make_folder, sha256_of, write_whole

FOLDER = "MISTDATA_CACHE"
SIZE = "MISTDATA_CACHE_GB"
GIGABYTES = 50.0
_COPY = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Cache:
    """A folder of copies.

    Args:
        folder: created when needed.
        most: bytes that it may hold.
    """

    folder: Path
    most: int

    @classmethod
    def of_user(cls) -> Cache:
        """Return the cache that the environment names.

        Raises:
            MistdataError: the size in MISTDATA_CACHE_GB is not a number above 0.
        """
        default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mistdata"
        text = os.environ.get(SIZE, str(GIGABYTES))
        try:
            size = float(text)
        except ValueError:
            size = 0.0
        if not 0 < size < float("inf"):
            raise MistdataError(f"{SIZE} must be a number of gigabytes above 0, got {text!r}")
        return cls(Path(os.environ.get(FOLDER) or default), int(size * 1e9))

    def copy(self, remote: Path, sha256: str) -> Path:
        """Return a local copy of a file, fetched if there is none.

        Args:
            remote: of it.
            sha256: that it must have.

        Raises:
            VerificationFailed: the file has another content, also when fetched again.
            FileNotFoundError: there is no such file.
            Unreachable: it cannot be had.
            MistdataError: the cache cannot be written.
        """
        path = self.folder / sha256
        if _is_whole(path, sha256):
            return path
        content = _fetch(remote, sha256)
        try:
            make_folder(self.folder)
            self._make_room(len(content))
            write_whole(path, content)
        except OSError as error:
            raise MistdataError(
                f"{self.folder}: cannot keep copies of {remote}: {error.strerror}; {FOLDER} names"
                " another folder"
            ) from None
        return path

    def _make_room(self, size: int) -> None:
        """Remove the copies that were not used for longest until `size` more bytes fit.

        Whatever else lies in the folder is somebody's, and stays.
        """
        found = []
        for path in self.folder.iterdir():
            if not (_COPY.fullmatch(path.name) or is_leftover(path)):
                continue
            try:
                status = path.stat()
            except FileNotFoundError:
                continue  # another process made room
            found.append((status.st_mtime_ns, status.st_size, path))
        excess = sum(each for _, each, _ in found) + size - self.most
        for _, held, path in sorted(found):
            if excess <= 0:
                break
            path.unlink(missing_ok=True)
            excess -= held


def _is_whole(path: Path, sha256: str) -> bool:
    """Tell whether there is a whole copy; if so, mark it as used now."""
    try:
        if sha256_of(path) != sha256:
            return False
        os.utime(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _fetch(remote: Path, sha256: str) -> bytes:
    for _ in range(2):
        content = remote.read_bytes()
        if hashlib.sha256(content).hexdigest() == sha256:
            return content
    raise VerificationFailed(f"{remote}: the sha256 is not the one in the manifest")
