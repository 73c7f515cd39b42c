"""Additive noise: what the common tests of samples against densities cannot see."""

import itertools
import math
import re

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad, simpson
from scipy.special import erfc

from mistdata.distributions import FAMILIES
from mistdata.distributions.families import additive
from mistdata.distributions.families._coordinatewise import least_information, most_information

GAUSSIAN = FAMILIES["additive-gaussian"]
CAUCHY = FAMILIES["additive-cauchy"]
LEVY = FAMILIES["additive-levy"]
few = settings(max_examples=15)


def value(member):
    return member.mutual_information().value


def std(member):
    return member.mutual_information().pmi_std


@few
@given(st.floats(0.05, 5.0))
def test_the_deviation_of_additive_uniform_is_that_of_the_quadrature(e):
    def density(y):
        return max(0.0, min(1.0, y + e) - max(0.0, y - e)) / (2.0 * e)

    knots = sorted({-e, e, 1.0 - e, 1.0 + e})
    moments = [
        sum(
            quad(lambda y, k=k: density(y) * (-math.log(2 * e * density(y) or 1.0)) ** k, a, b)[0]
            for a, b in itertools.pairwise(knots)
        )
        for k in (1, 2)
    ]
    found = FAMILIES["additive-uniform"](1, 1, epsilon=(e,))
    assert std(found) ** 2 == pytest.approx(moments[1] - moments[0] ** 2, abs=1e-6)


@pytest.mark.parametrize("epsilon", [0.1, 0.7])
def test_points_that_rounding_carries_out_of_the_support_count_as_on_its_edge(epsilon):
    member = FAMILIES["additive-uniform"](1, 1, epsilon=(epsilon,))
    x = np.linspace(0.0, 1.0, 20_001)[:, None]
    for sign in (-1.0, 1.0):
        y = x + sign * epsilon
        stored = member.pointwise_mutual_information(
            x.astype(np.float32).astype(float), y.astype(np.float32).astype(float)
        )
        assert np.isfinite(stored).all()
        beyond = member.pointwise_mutual_information(x, y + sign * 1e-5)
        assert (beyond == -np.inf).all()


def test_additive_uniform_keeps_its_bytes():
    x, y = FAMILIES["additive-uniform"](1, 1, epsilon=(0.5,)).sample(2, np.random.default_rng(0))
    block = np.random.default_rng(0).random((2, 2))
    np.testing.assert_array_equal(x[:, 0], block[:, 0])
    np.testing.assert_array_equal(y[:, 0], (block[:, 1] - 0.5) + block[:, 0])


def gaussian_by_mpmath(sigma):
    """h(Y) - h(N) over half the axis, as Y is symmetric about ½."""
    with mpmath.workdps(25):
        s = mpmath.mpf(sigma)

        def integrand(y):
            p = (mpmath.erf(y / s / mpmath.sqrt(2)) - mpmath.erf((y - 1) / s / mpmath.sqrt(2))) / 2
            return -p * mpmath.log(p)

        half = mpmath.mpf(1) / 2
        knots = [k * s for k in (-11, -7, -4, -2, 0, 2, 4, 7, 11) if k * s < half]
        entropy = 2 * mpmath.quad(integrand, [*knots, half])
        return float(entropy - mpmath.log(2 * mpmath.pi * mpmath.e * s * s) / 2)


@pytest.mark.parametrize("sigma", [0.004, 1 / 16, 0.0626, 0.17, 0.9, 6.0, 29.0, 40.0, 1000.0])
def test_additive_gaussian_equals_the_quadrature_with_25_digits(sigma):
    found = GAUSSIAN(1, 1, sigma=sigma).mutual_information()
    assert abs(found.value - gaussian_by_mpmath(sigma)) <= found.error
    assert found.error < 1e-11


def test_the_table_of_additive_gaussian_keeps_its_word():
    for sigma in np.geomspace(0.0626, 29.0, 15):
        direct = additive._uniform_plus_gaussian(math.log(sigma))
        table = GAUSSIAN(1, 1, sigma=float(sigma)).mutual_information()
        assert abs(table.value - direct.value) <= table.error < 5e-12
        assert table.pmi_std == pytest.approx(direct.pmi_std, abs=1e-9)


def test_both_formulas_of_additive_gaussian_meet():
    below, above = (GAUSSIAN(1, 1, sigma=s) for s in (1 / 16, np.nextafter(1 / 16, 1)))
    assert value(below) == pytest.approx(value(above), abs=3e-12)
    assert std(below) == pytest.approx(std(above), abs=1e-9)


def test_wide_noise_leaves_the_variance_of_x_over_that_of_the_noise():
    for sigma in (20.0, 100.0):
        assert value(GAUSSIAN(1, 1, sigma=sigma)) == pytest.approx(
            0.5 * math.log1p(1 / 12 / sigma**2), rel=1e-4
        )


def test_narrow_uniform_and_gaussian_noise_cost_their_entropies():
    for width in (1e-3, 1e-5):
        uniform = value(FAMILIES["additive-uniform"](1, 1, epsilon=(width,)))
        gaussian = value(GAUSSIAN(1, 1, sigma=width))
        difference = math.log(2.0) - 0.5 * math.log(2.0 * math.pi * math.e)
        assert gaussian - uniform == pytest.approx(difference, abs=5.0 * width)


@pytest.mark.parametrize("ratio", [1e-3, 0.1, 1.0, 10.0])
def test_additive_cauchy_equals_the_average_over_two_angles(ratio):
    u = (np.arange(800) + 0.5) / 800
    angle = math.pi * (u**3 * (10.0 - 15.0 * u + 6.0 * u * u) - 0.5)  # denser towards both ends
    weight = 30.0 * (u * (1.0 - u)) ** 2 / 800
    c, noise = np.meshgrid(np.tan(angle), np.tan(angle))
    member = CAUCHY(1, 1, ratio=ratio)
    x = (ratio * c).reshape(-1, 1)
    pointwise = member.pointwise_mutual_information(x, x + noise.reshape(-1, 1)).reshape(c.shape)
    mean = weight @ pointwise @ weight
    assert value(member) == pytest.approx(mean, rel=1e-4)
    variance = weight @ (pointwise - mean) ** 2 @ weight
    assert std(member) == pytest.approx(math.sqrt(variance), rel=1e-3)


def levy_moments_by_quadrature(ratio):
    """Mean and variance of the pointwise MI over the polar angle of (Z', Z); see the family."""
    s = 1.0 + math.sqrt(ratio)
    t = (np.arange(200_000) + 0.5) / 200_000
    rest = math.pi / 2.0 * t**4  # the angle's complement; denser where Z vanishes
    sine, cosine, weight = np.cos(rest) ** 2, np.sin(rest) ** 2, 4.0 * t**3 / len(t)
    noise, total = sine, s * s / (1.0 / sine + ratio / cosine)
    given = 2.0 * math.log(s) + 1.5 * np.log(noise / total) - (noise - total)
    mean = weight @ given
    return mean, weight @ (given - mean) ** 2 + weight @ (noise - total) ** 2


@pytest.mark.parametrize("ratio", [1e-6, 0.01, 0.9, 0.999, 1.0, 1.001, 3.0, 100.0])
def test_additive_levy_equals_the_average_over_an_angle(ratio):
    mean, variance = levy_moments_by_quadrature(ratio)
    member = LEVY(1, 1, ratio=ratio)
    assert value(member) == pytest.approx(mean, abs=1e-8)
    assert std(member) ** 2 == pytest.approx(variance, rel=1e-7)


@pytest.mark.parametrize("name", ["additive-cauchy", "additive-levy"])
@pytest.mark.parametrize("ratio", [0.02, 1.0, 8.0])
def test_stable_families_equal_the_difference_of_scipys_entropies(name, ratio):
    law = stats.cauchy if name == "additive-cauchy" else stats.levy
    alpha = 1.0 if name == "additive-cauchy" else 0.5
    scale = (1.0 + ratio**alpha) ** (1.0 / alpha)
    expected = law(scale=scale).entropy() - law().entropy()
    assert value(FAMILIES[name](1, 1, ratio=ratio)) == pytest.approx(float(expected), abs=1e-9)


def test_the_margins_are_those_of_the_model():
    n = 20_000
    x, y = GAUSSIAN(2, 2, sigma=0.4).sample(n, np.random.default_rng(1))
    assert stats.kstest(x[:, 1], "uniform").pvalue > 1e-4
    assert stats.kstest((y - x)[:, 1], stats.norm(scale=0.4).cdf).pvalue > 1e-4
    x, y = CAUCHY(2, 2, ratio=3.0).sample(n, np.random.default_rng(2))
    assert stats.kstest(x[:, 0], stats.cauchy(scale=3.0).cdf).pvalue > 1e-4
    assert stats.kstest(y[:, 1], stats.cauchy(scale=4.0).cdf).pvalue > 1e-4
    x, y = LEVY(2, 2, ratio=4.0).sample(n, np.random.default_rng(3))
    assert stats.kstest(x[:, 0], stats.levy(scale=4.0).cdf).pvalue > 1e-4
    assert stats.kstest(y[:, 1], stats.levy(scale=9.0).cdf).pvalue > 1e-4


def test_coordinates_are_independent():
    x, y = GAUSSIAN(2, 2, sigma=0.4).sample(20_000, np.random.default_rng(4))
    correlations = np.corrcoef(np.hstack((x, y)).T)
    assert abs(correlations[0, 1]) < 0.03 and abs(correlations[0, 3]) < 0.03
    assert correlations[0, 2] == pytest.approx(1 / math.sqrt(1 + 12 * 0.16), abs=0.02)


@pytest.mark.parametrize("family", [GAUSSIAN, CAUCHY, LEVY])
def test_coordinates_add_up(family):
    key, theta = next(iter(family.parameters)), 0.3
    one, seven = (family(d, d, **{key: theta}).mutual_information() for d in (1, 7))
    assert seven.value == pytest.approx(7.0 * one.value, rel=1e-14)
    assert seven.pmi_std == pytest.approx(math.sqrt(7.0) * one.pmi_std, rel=1e-14)


@pytest.mark.parametrize("family", [GAUSSIAN, CAUCHY, LEVY])
def test_more_signal_gives_more_information(family):
    key = next(iter(family.parameters))
    grid = np.geomspace(0.01, 20.0, 40)
    values = [value(family(1, 1, **{key: float(each)})) for each in grid]
    steps = np.diff(values) * (-1.0 if family is GAUSSIAN else 1.0)
    assert (steps > 0.0).all()


@pytest.mark.parametrize("dim", [1, 4, 64])
@pytest.mark.parametrize("family", [GAUSSIAN, CAUCHY, LEVY])
def test_the_prior_spans_the_information_that_it_aims_at(family, dim):
    key = next(iter(family.parameters))
    ends = family.parameters[key].published_prior(dim, dim).support()
    low, high = sorted(value(family(dim, dim, **{key: end})) for end in ends)
    assert low == pytest.approx(dim * least_information(dim), rel=0.1)
    assert 0.5 * dim * most_information(dim) < high < 1.15 * dim * most_information(dim)


def levy_integrated_distribution(t):
    """∫_0^t P(N ≤ s) ds for standard Lévy noise."""
    t = np.maximum(t, 1e-300)
    tail = np.sqrt(2.0 * t / math.pi) * np.exp(-0.5 / t)
    return np.where(t > 1e-3, (t + 1.0) * erfc(np.sqrt(0.5 / t)) - tail, 0.0)


def levy_loss(u):
    """h(N + R + R') - h(N), R and R' uniform on an interval of length u."""
    t = np.concatenate((np.linspace(-u, 0.0, 2001)[:-1], np.geomspace(1e-4, 1e13, 40_001)))
    parts = levy_integrated_distribution(np.stack((t + u, t, t - u)))
    smeared = np.maximum(parts[0] - 2.0 * parts[1] + parts[2], 0.0) / u**2
    exact = (
        np.exp(-0.5 / np.maximum(t, 1e-3)) / np.maximum(t, 1e-3) ** 1.5 / math.sqrt(2 * math.pi)
    )
    p = np.where(t > 3e3 * (u + 1.0), exact, smeared)
    entropy = simpson(np.where(p > 0.0, -p * np.log(np.where(p > 0.0, p, 1.0)), 0.0), x=t)
    return entropy - stats.levy().entropy()


def test_single_precision_costs_a_levy_member_what_its_docstring_says():
    u = np.geomspace(0.03, 1e9, 60)
    # the spacing at x is 2⁻²³ or 2⁻²⁴ of it; p(x) = √(c/2π) x^(-3/2) in the tail
    loss = [levy_loss(each) for each in u]
    total = np.trapezoid(0.5 / np.sqrt(u) * loss, np.log(u))
    per_root = math.sqrt(2.0 / math.pi * 2.0**-23.5) * total
    assert per_root == pytest.approx(2.5e-4, rel=0.1)
    for dim in (1, 5, 64):
        _, high = LEVY.parameters["ratio"].published_prior(dim, dim).support()
        assert dim * per_root * math.sqrt(high) < 9.5e-4


@pytest.mark.parametrize("family", [GAUSSIAN, CAUCHY, LEVY])
def test_singular_members_are_refused(family):
    key = next(iter(family.parameters))
    with pytest.raises(ValueError, match=re.escape(family.parameters[key].reason)):
        family(1, 1, **{key: 0.0})


def test_levy_points_below_x_have_no_density():
    found = LEVY(1, 1, ratio=1.0).pointwise_mutual_information(
        np.array([[2.0], [2.0]]), np.array([[1.9], [2.0]])
    )
    assert found[0] == -math.inf
    assert np.isfinite(found[1])
