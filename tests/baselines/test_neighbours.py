"""KSG against its formula by brute force, against known values, with ties, and its bootstrap."""

import math

import numpy as np
import pytest
from scipy.special import digamma

from mistdata.baselines import BASELINES
from mistdata.baselines.neighbours import (
    ksg,
    ksg_bootstrap,
    nearer_by_distances,
    nearer_by_tree,
    untied,
)
from mistdata.distributions import FAMILIES


def brute_force(x, y, k):
    """Equation 8 of the paper, loop by loop."""
    n, total = len(x), 0.0
    for i in range(n):
        apart_x = [max(abs(x[i] - x[j])) for j in range(n) if j != i]
        apart_y = [max(abs(y[i] - y[j])) for j in range(n) if j != i]
        epsilon = sorted(map(max, zip(apart_x, apart_y, strict=True)))[k - 1]
        total += digamma(sum(a < epsilon for a in apart_x) + 1)
        total += digamma(sum(a < epsilon for a in apart_y) + 1)
    return digamma(k) + digamma(n) - total / n


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize(("dim_x", "dim_y"), [(1, 1), (1, 3), (4, 2), (7, 6)])
def test_it_is_the_published_formula(k, dim_x, dim_y):
    x, y = FAMILIES["student-dense"](dim_x, dim_y, rho=0.5, nu=3).sample(60, rng(k))
    source = rng(1)
    expected = brute_force(untied(x, source), untied(y, source), k)
    assert ksg(k=k)(x, y, rng(1)) == pytest.approx(expected, abs=1e-12)


def test_trees_and_distances_count_the_same():
    x, y = FAMILIES["gaussian-dense"](3, 2, rho=0.5).sample(300, rng())
    for one, other in zip(nearer_by_tree(x, y, 4), nearer_by_distances(x, y, 4), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("rho", [0.001, 0.6, 0.9])
def test_it_finds_the_information_of_two_normals(rho):
    """Within 4 standard errors (false alarm 6e-5, fixed seed) and the bias known at n = 1000."""
    member, source, repeats = FAMILIES["gaussian-bivariate"](1, 1, rho=rho), rng(5), 20
    found = [ksg()(*member.sample(1000, source), source) for _ in range(repeats)]
    error = np.mean(found) - member.mutual_information().value
    assert abs(error) < 4 * np.std(found, ddof=1) / math.sqrt(repeats) + 0.005


def test_the_scale_of_a_column_changes_nothing():
    x, y = FAMILIES["gaussian-dense"](2, 2, rho=0.5).sample(100, rng())
    assert ksg()(x * [1e-3, 1e3] + 5.0, y, rng(1)) == pytest.approx(ksg()(x, y, rng(1)), abs=1e-6)


def test_ties_are_broken_and_constant_columns_carry_nothing():
    member = FAMILIES["channel-bsc"](1, 1, p=0.1, q=0.5)
    x, y = member.sample(2000, rng())
    assert ksg()(x, y, rng(1)) == pytest.approx(member.mutual_information().value, abs=0.1)
    constant = np.concatenate([x, np.full((2000, 1), 3.0)], axis=1)
    assert math.isfinite(ksg()(constant, y, rng(1)))


def test_the_bootstrap_keeps_the_number_and_orders_quantiles():
    x, y = FAMILIES["gaussian-dense"](2, 2, rho=0.5).sample(80, rng())
    answer = ksg_bootstrap(k=3, resamples=20)(x, y, rng(1))
    assert answer.estimate == pytest.approx(ksg(k=3)(x, y, rng(1)), abs=1e-12)
    assert list(answer.quantiles) == sorted(answer.quantiles)
    assert answer.lower < answer.upper


def test_rows_drawn_twice_are_not_taken_for_dependence():
    """Resamples of independent rows stay near 0; repeats as neighbours would give above 0.3."""
    x, y = rng(2).standard_normal((2, 400, 1))
    answer = ksg_bootstrap(k=3, resamples=50)(x, y, rng(1))
    assert abs(answer.quantiles[7]) < 0.15
    rows = rng(3).integers(0, 400, 400)
    assert ksg()(x[rows], y[rows], rng(1)) > 0.3


def test_options_and_sizes_are_checked():
    for wrong in (0, 2.5, True, "3"):
        with pytest.raises(ValueError, match="k must be a whole number >= 1"):
            ksg(k=wrong)
    with pytest.raises(ValueError, match="resamples must be a whole number >= 2"):
        ksg_bootstrap(resamples=1)
    with pytest.raises(ValueError, match="n must exceed k = 3, got 3 rows"):
        ksg()(np.arange(3.0)[:, None], np.arange(3.0)[:, None], rng())


@pytest.mark.parametrize("k", [3, 5, 10])
def test_names_with_k_are_ksg_with_k(k):
    x, y = FAMILIES["gaussian-dense"](2, 2, rho=0.5).sample(60, rng())
    assert BASELINES[f"ksg-{k}"]()(x, y, rng(1)) == ksg(k=k)(x, y, rng(1))
