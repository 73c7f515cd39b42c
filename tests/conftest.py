"""What tests share: small stores, and environments with the wheel and nothing else.

Shape types are checked at run time, and hypothesis draws the same examples every time.
"""

import functools
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

from tests.environments import new_environment

install_import_hook("mistdata.distributions", "beartype.beartype")

# A shell's background job ignores Ctrl-C, and so would all the processes that tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("mistdata", derandomize=True, deadline=None)
settings.load_profile("mistdata")

ROOT = Path(__file__).parent.parent
SMALL_RECIPE = ROOT / "tests" / "data" / "small.toml"
CARRIED = """
name = "carried"
version = 1
seed = 5
shard_mib = 1

[flow]
x = "digits"
y = "wine"
keep_uncertified = true

[split.train]
datasets = 20
n = 50
dim = 3

[[split.train.mixture]]
families = ["gaussian-dense", "student-identity"]
"""


@pytest.fixture(scope="session")
def small_recipe() -> Path:
    """A recipe with every family, two splits and several shards."""
    return SMALL_RECIPE


@pytest.fixture(scope="session")
def small_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed store of the small recipe; tests must not change it."""
    from mistdata.pipeline.plan import make_plan
    from mistdata.pipeline.recipe import read_recipe
    from mistdata.pipeline.run import InProcess, generate

    store = tmp_path_factory.mktemp("stores") / "small"
    generate(make_plan(read_recipe(SMALL_RECIPE)), store, InProcess())
    return store


@pytest.fixture
def store(tmp_path: Path, small_store: Path) -> Path:
    """A copy of the small store, which a test may damage."""
    copy = tmp_path / "copy"
    shutil.copytree(small_store, copy)
    return copy


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--outdir", folder, ROOT], check=True)
    return folder


@pytest.fixture(scope="session")
def installed(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Where the programs are of a new environment, which has the wheel with these extras only."""

    @functools.cache
    def programs(extras: str) -> Path:
        (wheel,) = dist.glob("*.whl")
        return new_environment(tmp_path_factory.mktemp("environments") / "venv", wheel, extras)

    return programs


@pytest.fixture(scope="session")
def carried_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small store that two flows carried: X to digits.npy, Y to wine.npy, beside it."""
    from contextlib import chdir

    import numpy as np
    from click.testing import CliRunner
    from sklearn.datasets import load_digits, load_wine

    from mistdata.cli import cli

    folder = tmp_path_factory.mktemp("carried")
    np.save(folder / "digits.npy", load_digits().images.astype(np.uint8))
    np.save(folder / "wine.npy", load_wine().data)
    (folder / "recipe.toml").write_text(CARRIED)
    quick = ["--layers", "1", "--hidden", "8", "--steps", "50"]
    with chdir(folder):
        for command in (
            ["flow-fit", "digits.npy", "digits", *quick],
            ["flow-fit", "wine.npy", "wine", *quick, "--examples", "5"],
            ["generate", "recipe.toml", "out", "--in-process"],
        ):
            done = CliRunner().invoke(cli, command)
            assert done.exit_code == 0, done.output
    return folder / "out"
