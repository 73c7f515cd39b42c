"""Moments over rows agree with independent computations."""

import numpy as np
import torch
from scipy.stats import multivariate_normal

from mistdata.estimator.features import (
    distances,
    gaussian_bias,
    gaussian_copula,
    hermite_moments,
    unbiased,
)


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


def test_the_unbiased_information_falls_back_where_the_bias_is_not_finite():
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
    gap = np.abs(scores[0, :, 0] + scores[0, :, 2]) + 1 / 200
    expected = [np.log(gap).mean(), *(np.log((gap**p).mean()) / p for p in (1, 2, 4))]
    np.testing.assert_allclose(found[0, 2], expected, rtol=1e-9)
    np.testing.assert_array_equal(found[0, 2], found[2, 0])
    assert not found[:2, :2].any() and not found[2, 2].any()
