"""A store read without mistdata: the blocks of docs/other-tools.md, held against our reader."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mistdata
from tests.test_readme import blocks

EVERY = blocks("docs/other-tools.md", "python")
BLOCKS = [block for block in EVERY if "FOLDER" not in block]  # else tests/test_export.py
CATALOG_TOOLS = ("pandas", "polars", "duckdb")
VALUE_TOOLS = ("zarr", "xarray", "tensorstore", "numpy")
LATER_SHARD = 199  # a dataset of the small store that does not lie in the first shard of its split


def block_of(tool):
    """The one block, of those that ask what is asked of it, that imports a tool."""
    part = [block for block in BLOCKS if ("x, y =" in block) == (tool in VALUE_TOOLS)]
    (found,) = [block for block in part if f"import {tool}" in block and "row =" not in block]
    return found


@pytest.fixture
def run(small_store, tmp_path, monkeypatch):
    """Run blocks as one session, in a folder where STORE is; returns what they define."""
    monkeypatch.chdir(tmp_path)
    Path("STORE").symlink_to(small_store)

    def run(*parts):
        namespace: dict[str, object] = {}
        exec(compile("\n".join(parts), "docs/other-tools.md", "exec"), namespace)
        return namespace

    return run


def as_pandas(frame):
    return frame if isinstance(frame, pd.DataFrame) else frame.to_pandas()


@pytest.mark.parametrize("tool", CATALOG_TOOLS)
def test_the_catalog_answers_the_same_in_every_tool(tool, run, small_store):
    found = run(block_of(tool))
    ours = mistdata.open(small_store).where("n >= 200 and mi > 0.5")
    assert 0 < len(ours) < len(mistdata.open(small_store))
    strong = as_pandas(found["strong"])
    for column in ("dataset_id", "n", "mi", "family"):
        np.testing.assert_array_equal(strong[column].to_numpy(), ours.column(column))
    groups = as_pandas(found["by_family"]).reset_index().set_index("family")
    everything = mistdata.open(small_store)
    family, mi = everything.column("family"), everything.column("mi")
    assert set(groups.index) == set(family)
    for name in groups.index:
        own = mi[family == name]
        expected = [len(own), pytest.approx(own.mean()), own.max()]
        assert groups.loc[name, ["size", "mean", "max"]].tolist() == expected


@pytest.mark.parametrize("position", [0, LATER_SHARD, -1])
@pytest.mark.parametrize("tool", VALUE_TOOLS)
def test_values_are_the_same_bits_in_every_tool(tool, position, run, small_store):
    (where,) = [block for block in BLOCKS if "row =" in block]
    assert "iloc[7]" in where
    found = run(where.replace("iloc[7]", f"iloc[{position}]"), block_of(tool))
    one = mistdata.open(small_store)[position]
    assert (one.shard > 0) == (position == LATER_SHARD)
    for side in "xy":
        theirs, ours = found[side], getattr(one, side)
        assert theirs.dtype == ours.dtype and theirs.shape == ours.shape
        assert theirs.tobytes() == ours.tobytes()


def test_every_block_is_run_and_none_needs_mistdata():
    tools = [block_of(tool) for tool in CATALOG_TOOLS + VALUE_TOOLS]
    assert len(set(tools)) == len(tools) == len(BLOCKS) - 1  # and the one that finds a row
    assert not [block for block in EVERY if "mistdata" in block]
