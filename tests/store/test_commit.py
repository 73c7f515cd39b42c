"""What is visible is whole and durable: checked on recorded system calls and on real files."""

import errno
import fcntl
import os
from pathlib import Path

import numpy as np
import pytest

from mistdata.store import commit
from mistdata.store.commit import create_exclusively, make_folder, remove_leftovers, write_durably


@pytest.fixture
def calls(monkeypatch):
    """Record fsync, replace and link in order, by name of what they touch."""
    recorded = []

    def name_of(descriptor):
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        return "temporary" if name.endswith(".tmp") else name

    def record(module, function, describe):
        original = getattr(module, function)

        def recording(*arguments, **options):
            recorded.append(describe(*arguments))
            return original(*arguments, **options)

        monkeypatch.setattr(module, function, recording)

    record(commit.os, "fsync", lambda descriptor: ("fsync", name_of(descriptor)))
    record(commit.os, "link", lambda source, target: ("link", target.name))
    record(commit.Path, "replace", lambda source, target: ("replace", target.name))
    return recorded


def test_content_is_synced_before_the_rename_and_the_folder_after(tmp_path, calls):
    write_durably(tmp_path / "file", [b"one", memoryview(b"two")])
    assert (tmp_path / "file").read_bytes() == b"onetwo"
    assert calls == [("fsync", "temporary"), ("replace", "file"), ("fsync", tmp_path.name)]


def test_exclusive_creation_links_a_synced_file(tmp_path, calls):
    assert create_exclusively(tmp_path / "file", b"first")
    assert calls == [("fsync", "temporary"), ("link", "file"), ("fsync", tmp_path.name)]
    assert not create_exclusively(tmp_path / "file", b"second")
    assert (tmp_path / "file").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_failed_write_leaves_nothing_and_keeps_the_old(tmp_path, monkeypatch):
    write_durably(tmp_path / "file", [b"old"])

    def failing(descriptor):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(commit.os, "fsync", failing)
    with pytest.raises(OSError, match="Input/output"):
        write_durably(tmp_path / "file", [b"new"])
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_new_folders_are_synced_into_their_parents(tmp_path, calls):
    make_folder(tmp_path / "a" / "b")
    assert calls == [("fsync", tmp_path.name), ("fsync", "a")]


def test_leftovers_are_removed_and_nothing_else(tmp_path):
    (tmp_path / ".0.abc.tmp").touch()
    (tmp_path / "notes.tmp").touch()
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.tmp"]


@pytest.mark.parametrize("shift", [0, 4])
def test_big_content_is_written_whole_whether_or_not_it_is_aligned(tmp_path, shift):
    values = commit.page_aligned(1 << 20)
    values[:] = np.arange(1 << 20)
    content = values.view(np.uint8)[shift:].data
    write_durably(tmp_path / "file", [content, b"the end"])
    assert (tmp_path / "file").read_bytes() == bytes(content) + b"the end"


def test_a_disk_that_does_not_allow_it_is_written_through_the_cache(tmp_path, monkeypatch):
    original = commit.os.write

    def refusing(descriptor, content):
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT:
            raise OSError(errno.EINVAL, "Invalid argument")
        return original(descriptor, content)

    monkeypatch.setattr(commit.os, "write", refusing)
    values = commit.page_aligned(1 << 20)
    values[:] = 1.0
    write_durably(tmp_path / "file", [values.data])
    assert (tmp_path / "file").read_bytes() == values.tobytes()
