"""Moments over rows agree with independent computations."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal, norm

from mistdata.estimator.features import (
    beyond_gauss,
    departures,
    distances,
    gaussian_bias,
    gaussian_copula,
    hermite_moments,
    neighbour_gaps,
    unbiased,
)
from mistdata.estimator.prepare import prepared, rank


def test_gaussian_copula_information_is_the_log_determinant_after_shrinking():
    rng = np.random.default_rng(1)
    root = rng.normal(size=(2, 5, 9))
    covariance = root @ root.swapaxes(1, 2)
    scale = np.sqrt(np.einsum("bjj->bj", covariance))
    correlation = covariance / scale[:, :, None] / scale[:, None, :]
    _, nats = gaussian_copula(torch.from_numpy(correlation), 2, n=10**12, shrinkage=0.01)
    correlation = (1 - 1e-5) * correlation + 1e-5 * np.eye(5)
    sides = [correlation[:, :2, :2], correlation[:, 2:, 2:], correlation]
    log_det = [np.linalg.slogdet(block)[1] for block in sides]
    expected = (log_det[0] + log_det[1] - log_det[2]) / 2
    np.testing.assert_allclose(nats.numpy(), expected, rtol=1e-9)


def test_the_bias_of_the_gaussian_information_is_what_samples_show():
    """4,000 samples, mean bias within 4 standard errors: a false alarm in 16,000."""
    rng = np.random.default_rng(2)
    n, dim_x, dim_y = 30, 3, 2
    values = rng.normal(size=(4000, n, dim_x + dim_y))
    covariance = np.stack([np.cov(sample.T) for sample in values])
    sides = covariance[:, :dim_x, :dim_x], covariance[:, dim_x:, dim_x:], covariance
    log_x, log_y, log_all = (np.linalg.slogdet(block)[1] for block in sides)
    plug_in = (log_x + log_y - log_all) / 2
    error = plug_in.mean() - gaussian_bias(n, dim_x, dim_y)
    assert abs(error) < 4 * plug_in.std() / len(plug_in) ** 0.5


def test_the_unbiased_information_falls_back_where_rows_hardly_outnumber_columns():
    assert gaussian_bias(12, 5, 5) == pytest.approx(2.68, abs=0.005)
    assert math.isfinite(gaussian_bias(11, 5, 5))
    plug_in = [torch.tensor([0.9]), torch.tensor([0.4])]
    assert unbiased(plug_in, 12, 5, 5) is plug_in[1]
    assert 0 <= unbiased(plug_in, 13, 5, 5).item() < 0.9


def test_hermite_moments_of_a_gaussian_are_powers_of_the_correlation():
    """E h_a(X) h_b(Y) = rho^a when a = b, else 0, for normalised Hermite polynomials."""
    rng = np.random.default_rng(4)
    rho = 0.8
    draws = multivariate_normal([0, 0], [[1, rho], [rho, 1]]).rvs(400_000, random_state=rng)
    moments = hermite_moments(torch.from_numpy(draws)[None])[0, 0, 1].view(3, 3).numpy()
    np.testing.assert_allclose(moments, np.diag([rho, rho**2, rho**3]), atol=0.02)


def test_distances_are_power_means_of_gaps_across_the_sides():
    rng = np.random.default_rng(5)
    scores = rng.normal(size=(1, 200, 3))
    scores[..., 2] -= 2 * scores[..., 0]
    correlation = np.corrcoef(scores[0].T)[None]
    found = distances(torch.from_numpy(scores), torch.from_numpy(correlation), 2)[0].numpy()
    uniform = norm.cdf(scores)
    expected = []
    for columns in (scores, uniform):
        # The uniform ranks are centred before a sign is given to them.
        centred = columns[0] - (0.5 if columns is uniform else 0)
        gap = np.abs(centred[:, 0] + centred[:, 2]) + 1 / 200
        expected += [np.log(gap).mean(), *(np.log((gap**p).mean()) / p for p in (1, 2, 4))]
    np.testing.assert_allclose(found[0, 2], expected, rtol=1e-9)
    np.testing.assert_array_equal(found[0, 2], found[2, 0])
    assert not found[:2, :2].any() and not found[2, 2].any()


def test_gaps_of_neighbours_are_those_of_the_sorted_sample():
    rng = np.random.default_rng(6)
    scores = rng.normal(size=(1, 200, 3))
    values = torch.from_numpy(scores)
    found = neighbour_gaps(values, rank(values), 2)[0].numpy()
    for j, k in ((0, 2), (1, 2), (2, 0), (2, 1)):
        gap = np.abs(np.diff(norm.cdf(scores[0, np.argsort(scores[0, :, j]), k])))
        means = [np.log(gap + 1 / 200).mean(), gap.mean(), (gap**2).mean()]
        expected = (np.array(means) - [-1.5, 1 / 3, 1 / 6]) / [1, 0.25, 0.2]
        np.testing.assert_allclose(found[j, k], expected, rtol=1e-9)
    assert not found[:2, :2].any() and not found[2, 2].any()


def test_the_order_of_tied_rows_does_not_matter_to_gaps_of_neighbours():
    """Rows equal in the sorting column share the mean of the other side's uniform ranks."""
    rng = np.random.default_rng(7)
    values = torch.from_numpy(
        np.stack([rng.integers(0, 4, 60), rng.normal(size=60)], axis=1)[None]
    )
    before = neighbour_gaps(values, rank(values), 1)
    shuffled = values[:, torch.from_numpy(rng.permutation(60))]
    torch.testing.assert_close(neighbour_gaps(shuffled, rank(shuffled), 1), before)
    symbols, uniform = values[0, :, 0], torch.special.ndtr(values[0, :, 1])
    levels = [uniform[symbols == symbol].mean() for symbol in range(4)]
    mean_gap = torch.stack(levels).diff().abs().sum() / 59
    assert abs(float(before[0, 0, 1, 1]) - (float(mean_gap) - 1 / 3) / 0.25) < 1e-9


def test_independent_columns_have_centred_gaps():
    """E ln e = -3/2, E e = 1/3 and E e² = 1/6 for the gap of two uniform numbers."""
    generator = torch.Generator().manual_seed(8)
    values = torch.randn(1, 100_000, 2, dtype=torch.float64, generator=generator)
    assert neighbour_gaps(values, rank(values), 1).abs().max() < 0.02


def dense_sample(n, radius=None):
    """Rows of 3 + 3 normal columns that all correlate; with radii, no longer a Gaussian copula."""
    rng = np.random.default_rng(6)
    rows = rng.multivariate_normal(np.zeros(6), np.full((6, 6), 0.6) + 0.4 * np.eye(6), n)
    return torch.from_numpy(rows if radius is None else rows * radius(rng, n)[:, None])


def told_apart(values):
    """Departures of prepared columns."""
    scores = prepared(values[None], rank(values[None]).doubled, "rank", torch.float64)
    moments = beyond_gauss(hermite_moments(scores))
    apart = distances(scores, moments[..., 0], 3)
    return departures(moments, apart, len(values), len(values), 3)[0]


@pytest.mark.parametrize("n", [200, 2_000, 20_000])
def test_departures_of_a_gaussian_copula_stay_of_order_one_at_any_n(n):
    """In units of their noise: ½ ln(1 + n e) with n e about 1, and asinh(√n m) with m about 0."""
    found = told_apart(dense_sample(n).exp())
    assert found[[1, 5, 9, 13]].max() < 0.9
    assert found[[3, 7, 11]].abs().max() < 1.5
    assert found[[0, 4, 8, 12]].max() < 3 / n**0.5


def test_departures_grow_where_rows_share_a_radius():
    """Student's copula: a common radius makes the squares of all columns correlate."""
    student = told_apart(dense_sample(2_000, lambda rng, n: (3 / rng.chisquare(3, n)) ** 0.5))
    normal = told_apart(dense_sample(2_000))
    assert (student[[2, 6]] > 0.1).all()
    assert (student > normal)[:14].all()


def test_departures_within_sides_of_one_column_are_zero():
    values = torch.randn(50, 2, dtype=torch.float64)
    moments = beyond_gauss(hermite_moments(values[None]))
    apart = distances(values[None], moments[..., 0], 1)
    assert departures(moments, apart, 50, 50, 1)[0, [6, 7]].abs().max() == 0


def test_a_band_with_a_sharp_edge_is_not_a_gaussian_one():
    """Y = X + U: the moments hardly tell, the gaps do: narrower tails, a smaller mean."""
    rng = np.random.default_rng(8)
    x = rng.uniform(size=(2_000, 3))
    noisy = x + rng.uniform(-0.2, 0.2, x.shape)
    found = told_apart(torch.from_numpy(np.concatenate([x, noisy], axis=1)))
    assert found[12] > 2 * told_apart(dense_sample(2_000))[12]
    assert found[14] > 0.02
