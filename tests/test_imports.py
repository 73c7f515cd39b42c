"""Imports run downhill, and each heavy library is known in one place."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mistdata"
MODULES = sorted(PACKAGE.rglob("*.py"))

# What each part may import besides itself, `mistdata.errors` and the version.
DOWNHILL = {
    "distributions": set(),
    "arrow": set(),
    "estimator": {"arrow", "threads"},
    "baselines": {"distributions", "store", "estimator"},
    "benchmark": {"distributions", "store", "pipeline", "baselines", "threads"},
    "errors": set(),
    "tables": {"arrow"},
    "threads": set(),
    "store": {"distributions.priors"},
    "pipeline": {"distributions", "store", "threads"},
    "flows": {"distributions", "store", "pipeline", "tables", "estimator.checkpoint", "threads"},
    "inspect": {"distributions", "store"},
    "verify": {"distributions", "store", "pipeline"},
    "audit": {"distributions", "store", "pipeline", "flows", "threads"},
    "repair": {"distributions", "store", "pipeline", "flows", "verify"},
    "pictures": {"distributions"},
    "export": {"distributions.priors", "store"},
    "copying": {"distributions.priors", "pipeline", "store"},
    "derive": {"copying", "distributions.priors", "pipeline.recipe", "store"},
    "pickles": set(),
    "importing": {"copying", "distributions.priors", "pickles", "pipeline.recipe", "store"},
    "report": {
        "distributions",
        "store",
        "pipeline.label",
        "pipeline.recipe",
        "inspect",
        "pictures",
    },
    "cli": {
        "distributions",
        "store",
        "pipeline",
        "benchmark",
        "inspect",
        "verify",
        "repair",
        "audit",
        "pictures",
        "report",
        "export",
        "derive",
        "importing",
        "estimator",
        "flows",
        "tables",
        "baselines",
    },
    "__main__": {"cli"},
    "__init__": {"estimator", "store"},
}

# Where each heavy library may be imported.
HOMES = {
    "dask": {"pipeline/executors.py"},
    "distributed": {"pipeline/executors.py"},
    "zarr": {"store/layout.py"},
    "pyarrow": {
        "store/catalog.py",
        "store/card.py",
        "store/croissant.py",
        "benchmark/results.py",
        "arrow.py",
        "tables.py",
    },
    "duckdb": {"store/catalog.py"},
    "tqdm": {"cli/console.py"},
    "threadpoolctl": {"threads.py", "pipeline/fingerprint.py"},
    "matplotlib": {"pictures.py", "estimator/heatmap.py"},
    "torch": {"estimator/", "flows/"},
    "normflows": {"flows/architecture.py"},
    "PIL": {"flows/modality.py"},
    "safetensors": {"estimator/", "flows/flow.py"},
    "pandas": {"estimator/matrix.py"},
}


def imports(path):
    """Run through the absolute names of the modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_downhill(path):
    own = part_of(path)
    for name in imports(path):
        if not name.startswith("mistdata."):
            continue
        target = name.removeprefix("mistdata.")
        if target.split(".")[0] in {own, "errors", "__version__"}:
            continue
        allowed = DOWNHILL[own]
        assert any(target == a or target.startswith(a + ".") for a in allowed), f"{own}: {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_heavy_library_has_one_home(path):
    relative = path.relative_to(PACKAGE).as_posix()
    for name in imports(path):
        library = name.split(".")[0]
        if library in HOMES:
            assert any(relative.startswith(home) for home in HOMES[library]), name


def test_the_table_knows_every_part():
    assert {part_of(path) for path in MODULES} <= DOWNHILL.keys()


def test_every_module_says_what_it_is_for():
    for path in [*MODULES, *(ROOT / "train").glob("*.py"), *(ROOT / "benchmarks").glob("*.py")]:
        assert ast.get_docstring(ast.parse(path.read_text())), path


def test_nothing_is_unpickled():
    """But what others published, by a reader that resolves no name: tests/test_importing.py."""
    for path in {*MODULES, *(ROOT / "train").glob("*.py")} - {PACKAGE / "pickles.py"}:
        for name in imports(path):
            assert name.split(".")[0] not in {"pickle", "cloudpickle", "marshal", "shelve"}, path
