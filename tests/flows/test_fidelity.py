"""Fidelity sees shifts and repetitions, and nothing where there is nothing."""

import numpy as np
import pytest

from mistdata.errors import MistdataError
from mistdata.flows.fidelity import fidelity, sliced_wasserstein


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
