"""Another processor, as the libraries see it: refused, or the same bytes with --portable."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from mistdata.store import ledger
from tests.damage import flip

ROOT = Path(__file__).parents[2]

RECIPE = """
name = "rounded"
version = 1
seed = 3
shard_mib = 1

[split.train]
datasets = 40
n = 1000
dim = 8

[[split.train.mixture]]
family = "student-dense"
transform = "asinh"

[[split.train.mixture]]
family = "gaussian-lvm"
transform = "wiggly"
"""
pytestmark = pytest.mark.skipif(
    (platform.system(), platform.machine()) != ("Linux", "x86_64"),
    reason="portable bytes are known for Linux on x86_64",
)

# What an older processor has, told to the libraries of this one.
OLDER = {
    "OPENBLAS_CORETYPE": "Sandybridge",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR AVX512F AVX512_SKX",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA",
    "PYTHONWARNINGS": "ignore",  # NumPy's, of features that this processor has not
}


def run(*arguments, **variables):
    command = [sys.executable, "-m", "mistdata", *map(str, arguments)]
    return subprocess.run(
        command, env=os.environ | variables, capture_output=True, text=True, check=False
    )


@pytest.fixture
def recipe(tmp_path):
    """A recipe whose values go through functions that processors round differently."""
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    return path


def test_another_processor_is_refused_or_gives_the_same_bytes(tmp_path, recipe):
    native = run("generate", recipe, tmp_path / "native", "--in-process", "--shards", "0")
    assert native.returncode == 0, native.stderr
    refused = run("generate", recipe, tmp_path / "native", "--in-process", **OLDER)
    assert refused.returncode == 6
    assert "computes other bytes" in refused.stderr

    common = ("generate", recipe, tmp_path / "shared", "--portable")
    begun = run(*common, "--in-process", "--shards", "0")
    assert begun.returncode == 0, begun.stderr
    without = run(*common[:-1], "--in-process")
    assert without.returncode == 6
    assert without.stderr.strip().endswith("it was begun with --portable")
    finished = run(*common, "--workers", "1", **OLDER)
    assert finished.returncode == 0, finished.stderr
    elsewhere = run(
        "generate", recipe, tmp_path / "elsewhere", "--portable", "--in-process", **OLDER
    )
    assert elsewhere.returncode == 0, elsewhere.stderr
    one, other = (ledger.read_manifest(tmp_path / name) for name in ("shared", "elsewhere"))
    assert one.digest == other.digest
    assert one.files["catalog.parquet"] == other.files["catalog.parquet"]
    flip(tmp_path / "elsewhere/train/values/c/0", 1000)
    assert "repair --portable" not in run("verify", tmp_path / "shared").stderr
    said = run("verify", tmp_path / "elsewhere").stderr
    assert f"`mistdata repair {tmp_path}/elsewhere --portable`" in said


def test_a_shell_can_be_told(tmp_path):
    printed = subprocess.run(
        [sys.executable, "-m", "mistdata.pipeline.portable"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "export OPENBLAS_CORETYPE=Nehalem" in printed
    asked = "from mistdata.pipeline.portable import is_portable; print(is_portable())"
    script = f'eval "$1"; exec "$2" -c "{asked}"'
    said = subprocess.run(
        ["bash", "-c", script, "bash", printed, sys.executable],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert said == "True\n"


@pytest.mark.parametrize(
    "portable",
    [
        pytest.param((), id="native"),
        pytest.param(("--portable",), id="portable", marks=pytest.mark.slow),
    ],
)
def test_the_number_of_threads_changes_no_byte(tmp_path, portable):
    recipe = ROOT / "pipelines" / "mistdata-train.toml"
    runs = {"one": {"OMP_NUM_THREADS": "1"}, "two": {"OMP_NUM_THREADS": "2"}, "four": {}}
    for name, variables in runs.items():
        kept = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
        command = [sys.executable, "-m", "mistdata", "generate", recipe, tmp_path / name]
        limited = [*map(str, command), "--limit", "300", "--in-process", *portable]
        done = subprocess.run(limited, env=kept | variables, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    manifests = [ledger.read_manifest(tmp_path / name) for name in runs]
    assert manifests[0] == manifests[1] == manifests[2]


def test_workers_of_one_thread_may_join_a_client_of_many(tmp_path, recipe):
    kept = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    command = [sys.executable, "-m", "mistdata", "generate", str(recipe), str(tmp_path / "store")]
    done = subprocess.run(
        [*command, "--workers", "1", "--portable"], env=kept, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
