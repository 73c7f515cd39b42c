"""Gaussian mixtures and their integral, component by component, against densities by scipy.

The statistical test has a fixed seed; no entry beyond 5.5 standard errors has a false-alarm rate
below 1e-6.
"""

import math

import numpy as np
import pytest
from scipy import stats

from mistdata.distributions import stratified as module
from mistdata.distributions.base import Precision
from mistdata.distributions.integrate import NotConverged
from mistdata.distributions.stratified import GaussianMixture, log_sum_exp, stratified
from tests.distributions.normals_by_hand import information, pointwise


def planar(*components):
    """A mixture in the plane of (weight, mean, deviations, correlation)."""
    weights, means, covariances = [], [], []
    for weight, mean, (a, b), rho in components:
        weights.append(weight)
        means.append(mean)
        covariances.append([[a * a, rho * a * b], [rho * a * b, b * b]])
    return np.array(weights), np.array(means, float), np.array(covariances, float)


UNEVEN = planar(
    (0.5, (0.0, 0.0), (1.0, 1.0), 0.7),
    (0.3, (2.0, -1.0), (0.5, 1.5), -0.8),
    (0.2, (-1.0, 3.0), (0.8, 0.3), 0.0),
)
FOUR = planar(*((0.25, (a, b), (0.6, 0.6), 0.8 * a * b) for a in (1.0, -1.0) for b in (1.0, -1.0)))


def in_space(seed, dim_x, dim_y, k=3):
    """A mixture in a few dimensions, with full covariances."""
    rng, d = np.random.default_rng(seed), dim_x + dim_y
    roots = rng.standard_normal((k, d, d)) + 1.5 * np.eye(d)
    return rng.dirichlet(np.full(k, 3.0)), rng.standard_normal((k, d)), roots @ roots.mT


@pytest.mark.parametrize("rho", [0.0, 0.3, -0.9, 0.999])
def test_one_component_has_the_information_of_a_normal(rho):
    mi = stratified(GaussianMixture(*planar((1.0, (3.0, -2.0), (0.1, 7.0), rho)), 1))
    assert mi.value == pytest.approx(-0.5 * math.log1p(-rho * rho), abs=1e-10)
    assert mi.pmi_std == pytest.approx(abs(rho), abs=1e-6)
    assert (mi.method, mi.error_kind) == ("quadrature", "quad_halving")


def test_equal_components_are_one():
    twice = planar((0.4, (1.0, 2.0), (1.0, 2.0), 0.6), (0.6, (1.0, 2.0), (1.0, 2.0), 0.6))
    assert stratified(GaussianMixture(*twice, 1)).value == pytest.approx(
        -0.5 * math.log(0.64), abs=1e-10
    )


def test_a_normal_law_in_space_has_the_information_of_its_determinants():
    _, means, covariances = in_space(1, 2, 1, k=1)
    s = covariances[0]
    expected = 0.5 * math.log(np.linalg.det(s[:2, :2]) * s[2, 2] / np.linalg.det(s))
    mi = stratified(GaussianMixture(np.ones(1), means, covariances, 2), Precision(10_000))
    assert abs(mi.value - expected) <= mi.error + 1e-9


@pytest.mark.parametrize("mixture", [UNEVEN, FOUR], ids=["uneven", "four"])
def test_the_integral_equals_that_over_one_fine_grid(mixture):
    mi = stratified(GaussianMixture(*mixture, 1))
    value, deviation = information(*mixture, step=0.03)
    assert mi.value == pytest.approx(value, abs=1e-10)
    assert mi.pmi_std == pytest.approx(deviation, abs=1e-8)


def test_components_far_apart_share_their_label_and_what_each_holds():
    weights = np.array([0.2, 0.3, 0.5])
    parts = [(w, (99.0 * k, -99.0 * k), (1.0, 2.0), 0.5) for k, w in enumerate(weights)]
    expected = -weights @ np.log(weights) - 0.5 * math.log(0.75)
    assert stratified(GaussianMixture(*planar(*parts), 1)).value == pytest.approx(
        expected, abs=1e-10
    )


def test_a_component_without_weight_does_not_count():
    weights, means, covariances = UNEVEN
    more = (np.append(weights, 0.0), np.vstack((means, [[9.0, 9.0]])))
    wider = GaussianMixture(*more, np.concatenate((covariances, np.eye(2)[None])), 1)
    assert stratified(wider).value == pytest.approx(
        stratified(GaussianMixture(*UNEVEN, 1)).value, abs=1e-10
    )


def test_a_symmetric_mixture_needs_its_first_component_only():
    mixture = GaussianMixture(*FOUR, 1)
    whole, first = stratified(mixture), stratified(mixture, symmetric=True)
    assert first.value == pytest.approx(whole.value, abs=1e-10)
    assert first.pmi_std == pytest.approx(whole.pmi_std, abs=1e-8)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("strict", [False, True])
def test_a_label_is_as_exact_as_it_says_and_no_less_than_asked(strict, symmetric):
    mixture, precision = GaussianMixture(*FOUR, 1), Precision(1000, strict)
    exact, rough = stratified(mixture), stratified(mixture, precision, symmetric=symmetric)
    assert abs(rough.value - exact.value) <= rough.error
    assert rough.error <= 0.5 * precision.allowed(rough.value, rough.pmi_std)


def test_a_component_too_narrow_for_the_finest_lattice_is_refused(monkeypatch):
    monkeypatch.setattr(module, "_HALVINGS", 2)
    needle = planar((0.9, (0.0, 0.0), (1.0, 1.0), 0.0), (0.1, (0.31, 0.17), (0.01, 0.01), 0.9))
    with pytest.raises(
        NotConverged, match=r"^mixture: the last halving changed I by .*, a weight"
    ):
        stratified(GaussianMixture(*needle, 1), Precision(1000))


@pytest.mark.parametrize("dims", [(1, 1), (2, 1), (3, 4)])
def test_the_pointwise_information_is_that_of_dense_normals(dims):
    mixture = in_space(2, *dims)
    x, y = np.split(4.0 * np.random.default_rng(3).standard_normal((200, sum(dims))), [dims[0]], 1)
    found = GaussianMixture(*mixture, dims[0]).pointwise(x, y)
    np.testing.assert_allclose(found, pointwise(x, y, *mixture), rtol=1e-9, atol=1e-9)


def test_the_sample_has_the_mean_and_the_covariance_of_the_mixture():
    weights, means, covariances = in_space(4, 2, 3)
    n = 40_000
    x, y = GaussianMixture(weights, means, covariances, 2).sample(n, np.random.default_rng(5))
    assert x.shape == (n, 2) and y.shape == (n, 3)
    rows = np.hstack((x, y))
    mean = weights @ means
    centred = means - mean
    covariance = np.einsum("k,kij->ij", weights, covariances)
    covariance += np.einsum("k,ki,kj->ij", weights, centred, centred)
    error = rows.std(axis=0) / math.sqrt(n)
    assert (np.abs(rows.mean(axis=0) - mean) < 5.5 * error).all()
    products = (rows - mean)[:, :, None] * (rows - mean)[:, None]
    error = products.std(axis=0) / math.sqrt(n)
    assert (np.abs(products.mean(axis=0) - covariance) < 5.5 * error).all()


def test_moments_add_the_pointwise_information_and_the_posteriors():
    weights, means, covariances = UNEVEN
    mixture = GaussianMixture(*UNEVEN, 1)
    rows = np.random.default_rng(6).standard_normal((50, 2))
    weight = np.random.default_rng(7).random(50)
    pmi = pointwise(rows[:, :1], rows[:, 1:], *UNEVEN)
    expected = [weight @ pmi, weight @ pmi**2]
    for columns in (slice(None), slice(0, 1), slice(1, 2)):
        density = [
            w * stats.multivariate_normal(m[columns], s[columns, columns]).pdf(rows[:, columns])
            for w, m, s in zip(weights, means, covariances, strict=True)
        ]
        expected.extend((density / np.sum(density, axis=0)) @ weight)
    np.testing.assert_allclose(mixture.moments(rows, weight), expected, rtol=1e-10)


def test_log_sum_exp_neither_overflows_nor_underflows():
    terms = np.array([[1000.0, 1000.0], [-1000.0, -1000.0], [0.0, -np.inf]])
    expected = [1000.0 + math.log(2.0), -1000.0 + math.log(2.0), 0.0]
    np.testing.assert_allclose(log_sum_exp(terms), expected, rtol=1e-15)
