"""The distributions as their users get them: what is inside, and every extra alone.

The wheel is built through the sdist, installed in new environments from the constraints that the
project pins, and used from an empty folder.
"""

import json
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SMALL = ROOT / "tests/data/small.toml"
EXTRAS = PROJECT["project"]["optional-dependencies"]
IMPLIED = {"flows": {"flows", "estimator"}}
# One command that needs each extra, what it exits with where the extra is, and what it writes.
PROBES = {
    "cluster": (f"generate {SMALL} by-dask --workers 1", 0, "by-dask"),
    "estimator": ("estimate table.csv --x a --y b", 0, None),
    "flows": ("flow-fit table.csv flow --steps 50", 0, "flow"),
    "report": ("families --gallery gallery.png", 0, "gallery.png"),
    "remote": ("inspect http://127.0.0.1:9/store", 3, None),
}


def run(*command, cwd=None):
    return subprocess.run(
        list(map(str, command)), cwd=cwd, capture_output=True, text=True, timeout=600
    )


def done(*command, cwd=None):
    process = run(*command, cwd=cwd)
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


@pytest.fixture
def wheel(dist):
    (path,) = dist.glob("*.whl")
    return path


def name_of(requirement):
    """The canonical name of a distribution."""
    return re.split(r"[ \[<>=!~;]", requirement)[0].lower().replace("_", "-")


def test_every_dependency_is_pinned():
    project = PROJECT["project"]
    lists = [project["dependencies"], *EXTRAS.values(), *PROJECT["dependency-groups"].values()]
    named = {name_of(each) for one in lists for each in one} - {"mistdata"}
    pins = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line]
    assert named <= {name_of(line) for line in pins}
    assert "torch==2.13.0" in pins


def test_all_is_every_extra():
    (everything,) = EXTRAS["all"]
    assert set(everything.partition("[")[2].rstrip("]").split(",")) == set(EXTRAS) - {"all"}
    assert set(PROBES) == set(EXTRAS) - {"all"}


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, json, mistdata; print(json.dumps(sorted(sys.modules)))"
    loaded = {name.partition(".")[0] for name in json.loads(done(sys.executable, "-c", code))}
    assert not loaded & {"numpy", "scipy", "torch", "pyarrow", "duckdb", "zarr", "dask", "click"}


@pytest.mark.slow
def test_the_sdist_has_what_the_wheel_is_built_from_and_nothing_else(dist):
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    tops = {name.partition("/")[0] for name in names}
    assert tops <= {
        "mistdata", "catalogs", "README.md", "LICENSE", "CHANGELOG.md", "pyproject.toml",
        "PKG-INFO", ".gitignore",
    }  # fmt: skip
    assert {"LICENSE", "README.md", "CHANGELOG.md", "mistdata/py.typed"} <= names


@pytest.mark.slow
def test_the_wheel_has_types_weights_and_catalogs_and_says_what_it_is(wheel):
    done(Path(sys.executable).parent / "check-wheel-contents", wheel)
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        facts = Parser().parsestr(archive.read(metadata).decode())
    modules = {f"mistdata/{path.relative_to(ROOT / 'mistdata')}" for path in
               (ROOT / "mistdata").rglob("*.py")}  # fmt: skip
    weights = {f"mistdata/estimator/weights/{path.name}" for path in
               (ROOT / "mistdata/estimator/weights").glob("*.safetensors")}  # fmt: skip
    catalogs = {f"mistdata/catalogs/{path.name}" for path in (ROOT / "catalogs").glob("*.json")}
    assert modules | weights | catalogs | {"mistdata/py.typed"} <= names
    assert weights and catalogs
    assert facts["Name"] == "mistdata"
    assert facts["License-Expression"] == "MIT"
    assert facts["Requires-Python"] == PROJECT["project"]["requires-python"]
    assert set(facts.get_all("Provides-Extra")) == set(EXTRAS)
    assert "Programming Language :: Python :: 3.11" in facts.get_all("Classifier")
    assert facts.get_payload().startswith("# mistdata")


@pytest.mark.slow
@pytest.mark.parametrize("extra", ["base", *PROBES])
def test_with_one_extra_it_works_and_names_the_others(extra, installed, tmp_path):
    programs = installed("" if extra == "base" else extra)
    mistdata = programs / "mistdata"
    done(mistdata, "generate", SMALL, "store", "--in-process", cwd=tmp_path)
    done(mistdata, "verify", "store", cwd=tmp_path)
    use = (
        "import mistdata\n"
        "ds = mistdata.open('store')\n"
        "assert len(ds.where(\"family = 'gaussian-lvm'\")[0].x) >= 50\n"
        "assert len(ds.read(range(len(ds))).values) > 0\n"
    )
    done(programs / "python", "-c", use, cwd=tmp_path)

    rows = "\n".join(f"{i},{i * 7 % 100 + i / 2}" for i in range(100))
    (tmp_path / "table.csv").write_text(f"a,b\n{rows}\n")
    there = IMPLIED.get(extra, {extra})
    for needed, (command, code, written) in PROBES.items():
        process = run(mistdata, *command.split(), cwd=tmp_path)
        if needed in there:
            assert process.returncode == code, process.stderr
            assert "Traceback" not in process.stderr
        else:
            assert process.returncode == 2, process.stderr
            (line,) = process.stderr.splitlines()
            assert f"pip install 'mistdata[{needed}]'" in line
        if written:
            assert (tmp_path / written).exists() == (needed in there)
