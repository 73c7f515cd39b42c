"""Fidelity sees shifts and repetitions, and nothing where there is nothing."""

import json

import numpy as np
import pytest

import mistdata
from mistdata.errors import MistdataError
from mistdata.flows.fidelity import fidelity, one_row_each, sliced_wasserstein
from tests.in_process import mistdata as run
from tests.in_process import refuses


def rows(n, seed, shift=0.0):
    return np.random.default_rng(seed).normal(size=(n, 2, 2)) + shift


def judged(made):
    return fidelity(rows(1000, 0), rows(500, 1), made, np.random.default_rng(3))


def test_rows_of_the_same_law_cannot_be_told_apart():
    """Accuracy on 500 rows: ½ within 4.5 standard errors, a false alarm in 10^5."""
    found = judged(rows(500, 2))
    assert abs(found.told_apart - 0.5) < 4.5 * 0.5 / 500**0.5
    assert abs(found.told_apart_floor - 0.5) < 4.5 * 0.5 / 500**0.5
    assert found.sliced < 2 * found.sliced_floor
    assert found.nearest == pytest.approx(1, abs=0.15)


def test_a_shift_is_seen():
    found = judged(rows(500, 2, shift=1.5))
    assert found.told_apart > 0.9
    assert found.sliced > 5 * found.sliced_floor


def test_repeated_training_rows_are_seen():
    found = judged(rows(1000, 0)[:500] + 1e-3)
    assert found.nearest < 0.1


def test_the_sliced_distance_of_a_shift_in_one_dimension_is_the_shift():
    one = rows(400, 4)[:, :1, 0]
    assert sliced_wasserstein(one, one + 0.3, np.random.default_rng(0)) == pytest.approx(0.3)


def test_too_few_rows_are_refused():
    with pytest.raises(MistdataError, match="at least 20 rows"):
        judged(rows(5, 2))


def test_the_command_compares_a_side_with_the_data_of_its_flow(carried_store):
    digits = carried_store.parent / "digits.npy"
    found = json.loads(run("fidelity", carried_store, digits, "--side", "x", "--json").stdout)
    # One row of each of 20 datasets, by a flow that hardly learned.
    assert found["rows"] == 20 and found["side"] == "x"
    assert found["sliced"] > 1.2 * found["sliced_floor"]
    assert 0.5 <= found["told_apart"] <= 1
    shown = run("fidelity", carried_store, digits, "--side", "x").stdout
    assert "told apart by a classifier" in shown and "real from real" in shown


def test_the_command_refuses_what_it_cannot_compare(carried_store, small_store, tmp_path):
    wine = carried_store.parent / "wine.npy"
    assert "no flow carries it" in refuses(2, "fidelity", small_store, wine)
    assert "no flow carries X" in refuses(2, "fidelity", small_store, wine, "--side", "x")
    assert "say which with --side" in refuses(2, "fidelity", carried_store, wine)
    few = refuses(2, "fidelity", carried_store, wine, "--side", "y")
    assert "held out 18 rows, and at least 20 are needed" in few
    np.save(tmp_path / "other.npy", np.load(wine)[1:])
    said = refuses(2, "fidelity", carried_store, tmp_path / "other.npy", "--side", "y")
    assert "fitted to other data" in said


def test_one_row_each_is_a_row_of_every_dataset(small_store):
    store = mistdata.open(small_store).where("dim_x = 1 and split = 'train'")
    rows = one_row_each(store, "x", len(store) + 1)
    assert rows.shape == (len(store), 1)
    assert set(rows[:, 0]) == {one.x[0, 0] for one in store}
