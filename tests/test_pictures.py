"""What a picture shows is chosen for the eye, and shows nothing that is not there."""

import numpy as np
import pytest

from mistdata.pictures import _is_discrete, _scale, _spread, _strongest_pair, _view

N = 500


@pytest.mark.parametrize("levels", [[0.0, 1.0], [-1.0, 0.0, 3.0], [0.0, 0.1, 0.2, 0.7]])
def test_rows_of_a_discrete_column_are_spread_and_stay_nearest_to_their_own_level(levels):
    column = np.random.default_rng(1).choice(levels, N)
    assert _is_discrete(column)
    spread = _spread(column, 0.7548776662466927)
    assert len(np.unique(spread)) == N
    nearest = np.abs(spread[:, None] - np.array(levels)).argmin(axis=1)
    assert (np.array(levels)[nearest] == column).all()
    low, high = _view(column)
    assert low < spread.min()
    assert spread.max() < high


def test_a_continuous_column_is_left_where_it_is():
    column = np.random.default_rng(2).standard_normal(N)
    assert not _is_discrete(column)
    assert _spread(column, 0.5) is column


def test_an_outlier_does_not_squash_the_rest():
    column = np.random.default_rng(3).standard_normal(N)
    column[:10] = 1e6
    low, high = _view(column)
    assert -5.0 < low < -2.0
    assert 2.0 < high < 5.0


def test_logarithms_are_for_positive_columns_over_orders_of_magnitude():
    normal = np.random.default_rng(4).standard_normal(N)
    assert _scale(np.exp(3.0 * normal)) == "log"
    assert _scale(np.exp(0.5 * normal)) == _scale(-np.exp(3.0 * normal)) == "linear"
    low, high = _view(np.exp(3.0 * normal))
    assert 0.0 < low < np.exp(-5.0)
    assert np.exp(5.0) < high


def test_a_constant_column_has_a_view():
    low, high = _view(np.full(N, 2.0))
    assert low < 2.0 < high


def test_the_pair_that_depends_most_is_shown():
    x = np.random.default_rng(5).standard_normal((N, 3))
    y = np.random.default_rng(6).standard_normal((N, 2))
    y[:, 1] = -np.exp(x[:, 2])
    shown_x, shown_y = _strongest_pair(x, y)
    assert (shown_x == x[:, 2]).all()
    assert (shown_y == y[:, 1]).all()
