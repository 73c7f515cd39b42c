"""Discrete sides and quantised Gaussians: sums and trapezoids against adaptive quadrature."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats

from mistdata.distributions.families._quantised import cell_probabilities
from mistdata.distributions.families.quantised import (
    DiscreteSmoothed,
    GaoUniform,
    GaussianLogistic,
    GaussianQuantised,
    GaussianQuantisedBoth,
    GaussianSign,
    GaussianSignSign,
    PamGaussian,
)

CORRELATIONS = [-0.9999, -0.99, -0.6, 0.0, 1e-3, 0.3, 0.9, 0.999]


def label(family, **theta):
    return family(1, 1, **theta).mutual_information()


def information(family, **theta):
    return label(family, **theta).value


def integral(function, points):
    return math.fsum(
        integrate.quad(function, low, high, epsabs=1e-12, epsrel=1e-10, limit=200)[0]
        for low, high in pairwise(points)
    )


def entropy(p):
    return float(special.entr(p).sum())


def gaussian_information(rho):
    return -0.5 * math.log1p(-rho * rho)


@settings(max_examples=60)
@given(m=st.integers(2, 40), width=st.one_of(st.floats(0.01, 60.0), st.integers(1, 50).map(float)))
def test_a_smoothed_symbol_has_the_information_of_its_piecewise_density(m, width):
    symbols = np.arange(m)
    edges = np.unique(np.concatenate((symbols, symbols + width)))
    middle, length = 0.5 * (edges[1:] + edges[:-1]), np.diff(edges)
    inside = (symbols <= middle[:, None]) & (middle[:, None] <= symbols + width)
    density = inside.sum(axis=1) / (m * width)
    expected = float(length @ special.entr(density)) - math.log(width)
    assert information(DiscreteSmoothed, m=m, width=width) == pytest.approx(expected, abs=1e-11)


@pytest.mark.parametrize("m", [2, 5, 1000])
def test_gaos_uniform_noise_is_smoothing_of_width_two(m):
    gao, smoothed = label(GaoUniform, m=m), label(DiscreteSmoothed, m=m, width=2.0)
    assert gao.value == pytest.approx(smoothed.value, abs=1e-12)
    assert gao.pmi_std == pytest.approx(smoothed.pmi_std, abs=1e-12)


def test_noise_narrower_than_the_symbols_takes_nothing_away_and_wide_noise_everything():
    for width in (0.01, 0.5, 1.0):
        assert information(DiscreteSmoothed, m=7, width=width) == pytest.approx(math.log(7.0))
    values = [information(DiscreteSmoothed, m=7, width=w) for w in (1.0, 1.5, 3.0, 7.7, 50.0, 1e4)]
    assert values == sorted(values, reverse=True)
    assert values[-1] < 2e-3


def test_the_samples_of_a_smoothed_symbol_are_uniform_around_uniform_symbols():
    x, y = DiscreteSmoothed(1, 1, m=6, width=3.5).sample(20_000, np.random.default_rng(0))
    assert stats.chisquare(np.bincount(x[:, 0].astype(int), minlength=6)).pvalue > 1e-4
    assert stats.kstest((y - x)[:, 0] / 3.5, stats.uniform.cdf).pvalue > 1e-4
    x, y = GaoUniform(1, 1, m=6).sample(20_000, np.random.default_rng(0))
    assert stats.kstest((y - x)[:, 0] / 2.0, stats.uniform.cdf).pvalue > 1e-4


def test_no_density_off_the_support_of_a_smoothed_symbol():
    member = DiscreteSmoothed(1, 1, m=4, width=1.5)
    x, y = np.array([[0.0], [0.0], [3.0], [3.0]]), np.array([[1.6], [-0.1], [4.500001], [4.6]])
    pointwise = member.pointwise_mutual_information(x, y)
    assert np.isneginf(pointwise).tolist() == [True, True, False, True]


@pytest.mark.parametrize(("levels", "noise"), [(2, 0.3), (2, 40.0), (3, 1.0), (8, 0.15), (8, 0.7)])
def test_pulse_amplitudes_have_the_information_of_the_output_entropy(levels, noise):
    amplitudes = np.arange(1 - levels, levels, 2)

    def output_entropy(y):
        return float(special.entr(stats.norm.pdf(y, amplitudes, noise).mean()))

    lowest, highest = 1 - levels - 12.0 * noise, levels - 1 + 12.0 * noise
    edges = [lowest, *np.arange(1 - levels, levels), highest]
    expected = integral(output_entropy, edges) - 0.5 * math.log(2 * math.pi * math.e * noise**2)
    assert information(PamGaussian, levels=levels, noise=noise) == pytest.approx(
        expected, abs=1e-10
    )


def test_pulse_amplitudes_lie_between_their_limits():
    for levels in (2, 5, 64):
        assert information(PamGaussian, levels=levels, noise=0.01) == pytest.approx(
            math.log(levels), abs=1e-12
        )
        for noise in (0.1, 0.5, 2.0, 30.0, 1000.0):
            # no input of this power carries more through the noise than a Gaussian one
            capacity = 0.5 * math.log1p((levels**2 - 1) / (3.0 * noise**2))
            value = information(PamGaussian, levels=levels, noise=noise)
            assert 0.0 < value < min(capacity, math.log(levels)) + 1e-12
    weak = information(PamGaussian, levels=2, noise=1000.0)
    assert weak == pytest.approx(0.5 * math.log1p(1e-6), rel=1e-5)


def test_the_samples_of_pulse_amplitudes_are_uniform_levels_in_gaussian_noise():
    x, y = PamGaussian(1, 1, levels=5, noise=0.7).sample(20_000, np.random.default_rng(0))
    levels, counts = np.unique(x, return_counts=True)
    assert levels.tolist() == [-4.0, -2.0, 0.0, 2.0, 4.0]
    assert stats.chisquare(counts).pvalue > 1e-4
    assert stats.kstest((y - x)[:, 0] / 0.7, stats.norm.cdf).pvalue > 1e-4


@pytest.mark.parametrize("rho", CORRELATIONS)
@pytest.mark.parametrize("bins", [2, 3, 16])
def test_a_quantised_side_has_the_information_of_the_conditional_entropy(rho, bins):
    edges = stats.norm.ppf(np.arange(bins + 1) / bins)
    remainder = math.sqrt(1.0 - rho * rho)

    def conditional(x):
        scaled = (edges - rho * x) / remainder
        # the upper half by complements: a difference of numbers near 1 is all rounding
        lower = np.diff(stats.norm.cdf(scaled))
        upper = -np.diff(stats.norm.sf(scaled))
        return stats.norm.pdf(x) * entropy(np.where(scaled[:-1] > 0.0, upper, lower))

    points = {-9.0, 9.0, *np.linspace(-4.0, 4.0, 9)}
    if rho:
        for edge in edges[1:-1]:
            around = (edge + remainder * np.linspace(-6.0, 6.0, 3)) / rho
            points.update(around[np.abs(around) < 9.0].tolist())
    expected = math.log(bins) - integral(conditional, sorted(points))
    mi = label(GaussianQuantised, rho=rho, bins=bins)
    assert mi.value == pytest.approx(expected, abs=1e-10)
    assert mi.error < 1e-7
    if bins == 2:
        assert label(GaussianSign, rho=rho) == mi


@pytest.mark.parametrize("rho", [-0.9999, -0.99, 0.2, 0.95, 0.999])
@pytest.mark.parametrize("bins", [2, 5, 16])
def test_the_cells_have_bivariate_normal_probabilities(rho, bins):
    edges = stats.norm.ppf(np.arange(bins + 1) / bins)
    edges[[0, -1]] = -9.0, 9.0
    remainder = math.sqrt(1.0 - rho * rho)
    expected = np.empty((bins, bins))
    for row, (low, high) in enumerate(pairwise(edges)):
        # panels as narrow as the conditional law, 40 Gauss-Legendre points each
        panels = np.linspace(low, high, math.ceil((high - low) / min(1.0, 2.0 * remainder)) + 1)
        node, weight = np.polynomial.legendre.leggauss(40)
        half = 0.5 * np.diff(panels)[:, None]
        x = (panels[:-1, None] + half * (node + 1.0)).ravel()
        mass = (half * weight).ravel() * stats.norm.pdf(x)
        cumulated = special.ndtr((edges[:, None] - rho * x) / remainder)
        cumulated[0], cumulated[-1] = 0.0, 1.0
        expected[row] = np.diff(cumulated, axis=0) @ mass
    assert np.abs(cell_probabilities(rho, bins) - expected).max() < 1e-12
    pmi = np.log(np.maximum(expected, 1e-18) * bins**2)
    assert information(GaussianQuantisedBoth, rho=rho, bins=bins) == pytest.approx(
        float((expected * pmi).sum()), abs=1e-11
    )


@pytest.mark.parametrize("rho", CORRELATIONS)
def test_quantising_takes_information_away(rho):
    clean = gaussian_information(rho)
    sign = information(GaussianSign, rho=rho)
    signs = information(GaussianSignSign, rho=rho)
    assert signs <= sign + 1e-15 and sign <= clean
    assert signs == pytest.approx(information(GaussianQuantisedBoth, rho=rho, bins=2), abs=1e-13)
    previous = sign
    for bins in (4, 16, 64):
        one = information(GaussianQuantised, rho=rho, bins=bins)
        both = information(GaussianQuantisedBoth, rho=rho, bins=bins)
        assert both <= one + 1e-13 and previous <= one + 1e-13 and one <= clean + 1e-15
        previous = one


def test_many_bins_leave_most_of_the_information_of_a_weak_dependence():
    clean = gaussian_information(0.3)
    assert information(GaussianQuantised, rho=0.3, bins=64) == pytest.approx(clean, rel=0.01)
    assert information(GaussianQuantisedBoth, rho=0.3, bins=64) == pytest.approx(clean, rel=0.02)


def test_the_sign_of_the_correlation_does_not_matter():
    for family, theta in (
        (GaussianSign, {}),
        (GaussianSignSign, {}),
        (GaussianQuantised, {"bins": 5}),
        (GaussianQuantisedBoth, {"bins": 5}),
    ):
        assert information(family, rho=-0.7, **theta) == pytest.approx(
            information(family, rho=0.7, **theta), abs=1e-13
        )


@pytest.mark.parametrize("rho", [-1.0, -0.8, 0.0, 1e-6, 0.75, 1.0])
def test_two_signs_have_sheppards_probability_of_agreeing(rho):
    equal = 0.5 + math.asin(rho) / math.pi
    expected = math.log(2.0) - entropy(np.array([equal, 1.0 - equal]))
    assert information(GaussianSignSign, rho=rho) == pytest.approx(expected, abs=1e-15)
    x, y = GaussianSignSign(1, 1, rho=rho).sample(20_000, np.random.default_rng(0))
    spread = math.sqrt(equal * (1.0 - equal) / 20_000)
    assert (x == y).mean() == pytest.approx(equal, abs=5.0 * spread + 1e-12)
    assert set(np.unique(x)) == set(np.unique(y)) == {-1.0, 1.0}


@pytest.mark.parametrize(
    ("family", "theta"),
    [(GaussianSign, {}), (GaussianQuantised, {"bins": 6}), (GaussianQuantisedBoth, {"bins": 6})],
)
def test_the_marginals_of_quantised_samples_are_normal_and_uniform(family, theta):
    x, y = family(1, 1, rho=0.6, **theta).sample(20_000, np.random.default_rng(0))
    if family.x_kind == "continuous":
        assert stats.kstest(x[:, 0], stats.norm.cdf).pvalue > 1e-4
    else:
        assert stats.chisquare(np.unique(x, return_counts=True)[1]).pvalue > 1e-4
    values, counts = np.unique(y, return_counts=True)
    assert values.tolist() == ([-1.0, 1.0] if family is GaussianSign else [*range(6)])
    assert stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize("beta", [0.0, 1e-3, 0.5, 3.0, 20.0, 1000.0])
def test_a_logistic_label_has_the_information_of_the_conditional_entropy(beta):
    def conditional(x):
        odds = special.expit(beta * x), special.expit(-beta * x)
        return stats.norm.pdf(x) * entropy(np.array(odds))

    points = {-9.0, -3.0, -1.0, 0.0, 1.0, 3.0, 9.0}
    points |= {sign * each / max(beta, 1.0) for sign in (-1, 1) for each in (0.5, 2.0, 8.0)}
    expected = math.log(2.0) - integral(conditional, sorted(points))
    mi = label(GaussianLogistic, beta=beta)
    assert mi.value == pytest.approx(expected, abs=1e-10)
    assert mi.error < 1e-10


def test_a_logistic_label_has_its_limits():
    assert information(GaussianLogistic, beta=0.0) == pytest.approx(0.0, abs=1e-15)
    # the second-order term of ln 2 - h(½ + βx/4), averaged
    assert information(GaussianLogistic, beta=1e-3) == pytest.approx(1e-6 / 8.0, rel=1e-5)
    # what a steep label loses is h integrated over log-odds, π²/6 each way, at density φ(0)
    lost = math.pi**2 / 3.0 / (1000.0 * math.sqrt(2.0 * math.pi))
    assert math.log(2.0) - information(GaussianLogistic, beta=1000.0) == pytest.approx(
        lost, rel=1e-5
    )


def test_logistic_labels_are_drawn_with_their_log_odds():
    x, y = GaussianLogistic(1, 1, beta=2.0).sample(40_000, np.random.default_rng(0))
    assert stats.kstest(x[:, 0], stats.norm.cdf).pvalue > 1e-4
    assert set(np.unique(y)) == {0.0, 1.0}
    chance = special.expit(2.0 * x)
    for low, high in ((-9.0, -1.0), (-1.0, 0.0), (0.0, 1.0), (1.0, 9.0)):
        within = (x > low) & (x < high)
        spread = math.sqrt((chance * (1.0 - chance))[within].sum())
        assert abs((y - chance)[within].sum()) < 5.0 * spread


def test_a_side_that_decides_the_other_is_refused_with_the_reason():
    message = r"^gaussian-sign: rho must lie in .*the bin is a function of the other side$"
    with pytest.raises(ValueError, match=message):
        GaussianSign(1, 1, rho=1.0)
