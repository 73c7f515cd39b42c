"""Shape types are checked at run time, and hypothesis draws the same examples every time."""

import shutil
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

install_import_hook("mistdata.distributions", "beartype.beartype")

settings.register_profile("mistdata", derandomize=True, deadline=None)
settings.load_profile("mistdata")

SMALL_RECIPE = Path(__file__).parent / "data" / "small.toml"


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
