"""The command line as its users meet it: real processes, exit codes, one-line errors."""

import json
import shutil
import subprocess
import sys

import pytest

from mistdata.distributions.families import FAMILIES
from mistdata.store import ledger
from tests.in_process import failure_of


def mistdata(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "mistdata", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        **options,
    )


def refuses(code, *arguments):
    """Run a command that must fail with this code and one line; return the line."""
    process = mistdata(*arguments)
    assert process.returncode == code, process.stderr
    return failure_of(process, "--json" in arguments)


def test_help_imports_nothing_heavy():
    code = (
        "import sys\n"
        "from mistdata.cli import cli\n"
        "try:\n    cli.main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'torch', 'dask', 'distributed', 'pyarrow', 'zarr', 'duckdb', 'scipy'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)\n"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert "generate" in process.stdout
    assert "Exit codes: 0 done; 2 usage" in process.stdout
    assert "\\b" not in process.stdout


def test_generate_inspect_and_verify(tmp_path, small_recipe, small_store):
    store = tmp_path / "store"
    done = mistdata("generate", small_recipe, store, "--workers", 2, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert json.loads(done.stdout)["digest"] == ledger.read_manifest(small_store).digest
    again = mistdata("generate", small_recipe, store)
    assert "sealed, 260 datasets" in again.stdout
    assert "nothing was left to fill" in again.stdout
    summary = json.loads(mistdata("inspect", store, "--json").stdout)
    assert summary["sealed"]
    assert summary["splits"]["train"]["datasets"] == 200
    assert summary["splits"]["train"]["distributions"] == 100
    text = mistdata("inspect", store).stdout
    assert "student-sparse/asinh" in text
    assert "nats" in text
    report = json.loads(mistdata("verify", store, "--json").stdout)
    assert report["ok"]
    assert report["checked"]["datasets"] == 260


def test_parts_then_seal(tmp_path, small_recipe, small_store):
    store = tmp_path / "store"
    assert mistdata("generate", small_recipe, store, "--shards", "1-2").returncode == 0
    assert "shards missing" in refuses(3, "seal", store)
    assert "shards missing" in refuses(3, "verify", store)
    partial = mistdata("inspect", store)
    assert "not sealed" in partial.stdout
    assert "rerun to resume" in partial.stdout
    assert mistdata("generate", small_recipe, store, "--shards", "0,2").returncode == 0
    sealed = json.loads(mistdata("seal", store, "--json").stdout)
    assert sealed["digest"] == ledger.read_manifest(small_store).digest


def test_a_damaged_store_is_exit_5(tmp_path, small_recipe, small_store):
    store = tmp_path / "store"
    shutil.copytree(small_store, store)
    path = store / "train/values/c/0"
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)
    process = mistdata("verify", store)
    assert process.returncode == 5
    assert "train/values/c/0: the sha256 differs; datasets 0" in process.stdout
    assert process.stderr.startswith(
        f"mistdata: {store}: 1 problem found; `mistdata repair {store}`"
    )
    path.unlink()
    assert mistdata("generate", small_recipe, store, "--in-process").returncode == 0
    assert mistdata("verify", store).returncode == 0
    path.write_bytes(content)
    assert json.loads(mistdata("verify", store, "--json").stdout)["problems"][0]["datasets"] == [0]


@pytest.mark.slow
def test_parts_together_are_the_store(tmp_path, small_recipe, small_store):
    store = tmp_path / "store"
    for part in (2, 0, 1):
        arguments = ("--part", f"{part}/3", "--in-process")
        assert mistdata("generate", small_recipe, store, *arguments).returncode == 0
    assert mistdata("generate", small_recipe, store, "--part", "99/100").returncode == 0  # empty
    assert mistdata("seal", store).returncode == 0
    assert (store / "manifest.json").read_bytes() == (small_store / "manifest.json").read_bytes()


def test_another_recipe_is_exit_4(tmp_path, small_recipe, small_store):
    other = tmp_path / "other.toml"
    other.write_text(small_recipe.read_text().replace("seed = 7", "seed = 8"))
    assert "belongs to the plan" in refuses(4, "generate", other, small_store, "--in-process")
    assert "belongs to" in refuses(4, "generate", small_recipe, small_store, "--limit", 3)


def test_a_bad_recipe_is_exit_2(tmp_path, small_recipe):
    bad = tmp_path / "bad.toml"
    bad.write_text(small_recipe.read_text().replace("gaussian-dense", "gausian-dense"))
    line = refuses(2, "generate", bad, tmp_path / "store")
    assert f"{bad}: split.train.mixture[0].family: expected" in line
    assert "did you mean 'gaussian-dense'" in line
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["genrate"], "did you mean 'generate'"),
        (["generate"], "RECIPE"),
        (["generate", "none.toml", "s"], "none.toml: cannot be read"),
        (["generate", "{small}", "s", "--workers", "0"], "--workers"),
        (["generate", "{small}", "s", "--in-process", "--workers", "2"], "choose one of"),
        (["generate", "{small}", "s", "--shards", "a-b"], "ranges like 0-99"),
        (["generate", "{small}", "s", "--shards", "0-999"], "the plan has shards 0.."),
        (["generate", "{small}", "s", "--shards", "5-2"], "at least one shard"),
        (["generate", "{small}", "s", "--shards", "0-99999999999"], "no plan has so many"),
        (["generate", "{small}", "s", "--part", "4/4"], "expected a part like 0/16"),
        (["generate", "{small}", "s", "--part", "0/4", "--shards", "1"], "one of --shards and"),
        (
            ["generate", "{small}", "s", "--shards", "0", "--workers", "2"],
            "--workers and --shards",
        ),
        (["generate", "{small}", "s", "--scheduler-file", "none"], "does not exist"),
        (["generate", "{small}", "s", "--scheduler", "tcp://192.0.2.1:9"], "not encrypted; use"),
        (["generate", "{small}", "s", "--scheduler", "192.0.2.1:9"], "not encrypted; use"),
        (["generate", "{small}", "s", "--unencrypted"], "go with a scheduler"),
        (["generate", "{small}", "s", "--tls-ca", "{small}"], "--tls-key together"),
        (["generate", "{small}", "s", "--adapt", "4:2"], "expected MIN:MAX"),
        (["generate", "{small}", "{small}/s"], "Not a directory"),
        (["families", "gausian-lvm"], "did you mean 'gaussian-lvm'"),
        (["inspect", "/nonexistent"], "not a mistdata store"),
        (["verify", "/nonexistent"], "not a mistdata store"),
        (["seal", "/nonexistent"], "not a mistdata store"),
        (["verify", "{small}"], "not a folder"),
    ],
)
def test_misuse_is_exit_2_and_one_line(tmp_path, monkeypatch, small_recipe, arguments, part):
    monkeypatch.chdir(tmp_path)
    assert part in refuses(2, *(a.format(small=small_recipe) for a in arguments))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [["--in-process"], ["--workers", "2"]])
def test_a_family_that_fails_is_one_line(tmp_path, options):
    recipe = tmp_path / "bad.toml"
    recipe.write_text(
        "name = 'bad'\nversion = 1\nseed = 1\n[split.train]\ndatasets = 50\nn = 200\ndim = 2\n"
        "[[split.train.mixture]]\nfamily = 'student-identity'\ntransform = 'normal-cdf'\n"
    )
    line = refuses(2, "generate", recipe, tmp_path / "s", *options)
    assert "bad: shard train/0, dataset 0 (student-identity/normal-cdf): normal-cdf" in line


def test_a_reader_that_stops_reading_is_no_failure():
    process = subprocess.run(
        f"{sys.executable} -m mistdata families | head -1", shell=True, capture_output=True
    )
    assert process.stderr == b""


@pytest.mark.slow  # it is waited for, half a minute
def test_no_scheduler_is_exit_3(tmp_path, small_recipe):
    options = ("--scheduler", "tcp://127.0.0.1:9")
    line = refuses(3, "generate", small_recipe, tmp_path / "s", *options)
    assert "mistdata: tcp://127.0.0.1:9: no Dask scheduler answers: " in line
    assert "refused" in line or "not within 30 s" in line  # what Dask saw last
    assert line.count("127.0.0.1") == 1


def test_a_file_that_is_no_scheduler_file_is_exit_2(tmp_path, small_recipe):
    options = ("--scheduler-file", small_recipe)
    assert "not a Dask scheduler" in refuses(2, "generate", small_recipe, tmp_path / "s", *options)


def test_families_lists_all(small_recipe):
    assert json.loads(mistdata("families", "--json").stdout).keys() == FAMILIES.keys()
    text = mistdata("families", "gaussian-lvm").stdout
    assert "I(X;Y) =" in text
    assert "published" in text


HIDING = """
import sys
from importlib.machinery import PathFinder

class Hiding(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name == "distributed" else PathFinder.find_spec(name, path, target)

sys.meta_path = [Hiding if each is PathFinder else each for each in sys.meta_path]
"""


def test_a_missing_extra_is_named(tmp_path, small_recipe):
    (tmp_path / "sitecustomize.py").write_text(HIDING)
    process = mistdata(
        "generate", small_recipe, tmp_path / "s", env={"PYTHONPATH": str(tmp_path), "PATH": ""}
    )
    assert process.returncode == 2
    assert "mistdata[cluster]" in process.stderr
    assert "--in-process" in process.stderr
