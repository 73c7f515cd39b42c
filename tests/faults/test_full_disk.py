"""A real file system without room: one line, exit 3, and the same command goes on."""

import subprocess
import sys
from contextlib import contextmanager

import pytest

from mistdata.store import ledger
from mistdata.store.commit import is_leftover
from mistdata.verify import verify
from tests.brief import RECIPE


def mount(*arguments):
    return subprocess.run(["mount", *arguments], capture_output=True, check=False)


@contextmanager
def small_disk(folder, size):
    """Mount a file system of this size."""
    folder.mkdir()
    if mount("-t", "tmpfs", "-o", f"size={size}", "mistdata-test", str(folder)).returncode:
        pytest.skip("only root may mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def generate(recipe, store, *options):
    command = [sys.executable, "-m", "mistdata", "generate", str(recipe), str(store), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(("--in-process",), id="one"),
        pytest.param(("--workers", "2"), id="dask", marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_is_exit_3_and_more_room_lets_the_run_go_on(tmp_path, options):
    recipe = tmp_path / "brief.toml"
    recipe.write_text(RECIPE)
    assert generate(recipe, tmp_path / "undisturbed", "--in-process").returncode == 0
    with small_disk(tmp_path / "disk", "2m") as disk:
        store = disk / "store"
        full = generate(recipe, store, *options)
        assert full.returncode == 3, full.stderr
        assert len(full.stderr.strip().splitlines()) == 1
        assert "No space left" in full.stderr
        assert not [path for path in store.rglob("*") if is_leftover(path)]
        assert not ledger.is_sealed(store)
        assert verify(store).ok
        assert mount("-o", "remount,size=16m", str(disk)).returncode == 0
        assert generate(recipe, store, *options).returncode == 0
        manifest = ledger.read_manifest(store)
    assert manifest == ledger.read_manifest(tmp_path / "undisturbed")
