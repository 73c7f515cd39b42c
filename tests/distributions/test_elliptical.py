"""Elliptical laws: radial integrals by other means, the common radius, the edge of the ball.

Statistical tests have fixed seeds; p > 1e-4 has a false-alarm rate of 1e-4 each.
"""

import math
import re
from itertools import pairwise

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad
from scipy.special import gammaln, kve, logsumexp

from mistdata.distributions import FAMILIES, integrate
from mistdata.distributions.families import elliptical

LAPLACE = FAMILIES["laplace-symmetric"]
PEARSON = FAMILIES["pearson-ii"]
BALL = FAMILIES["uniform-ball"]
DENSE = FAMILIES["gaussian-dense"]
few = settings(max_examples=15)
dims = st.tuples(st.integers(1, 5), st.integers(1, 5))
seeds = st.integers(0, 2**32)
N = 20_000


def value(member):
    return member.mutual_information().value


def laplace_entropy(k):
    """Entropy of k coordinates at Ω = I, over ln r with the Bessel function of scipy."""
    order = abs(0.5 * k - 1.0)

    def log_density(r):
        bessel = math.log(kve(order, math.sqrt(2.0) * r)) - math.sqrt(2.0) * r
        power = (1.0 - 0.5 * k) * math.log(r / math.sqrt(2.0))
        return math.log(2.0) - 0.5 * k * math.log(2.0 * math.pi) + power + bessel

    def integrand(t):
        r = math.exp(t)
        log_p = log_density(r)
        surface = math.log(2.0) + 0.5 * k * math.log(math.pi) - gammaln(0.5 * k)
        return -log_p * math.exp(log_p + surface + k * t)

    knots = (-40.0, -12.0, -3.0, -1.0, 0.0, 1.0, 2.0, 3.0, 5.0)
    return math.fsum(
        quad(integrand, *ends, epsabs=1e-13, limit=200)[0] for ends in pairwise(knots)
    )


def equicorrelated(d, rho):
    return (1.0 - rho) * np.eye(d) + rho


def laplace_log_density(rows, omega):
    """A normal law of covariance WΩ, integrated over W ~ Exp(1) in ln W."""
    log_w = np.arange(-24.0, 5.5, 0.05)
    terms = [
        stats.multivariate_normal(cov=math.exp(t) * omega).logpdf(rows).reshape(-1)
        - math.exp(t)
        + t
        for t in log_w
    ]
    return logsumexp(terms, axis=0) + math.log(0.05)


def test_a_univariate_laplace_law_has_its_elementary_entropy():
    # the witness below is held to account first
    assert laplace_entropy(1) == pytest.approx(1.0 + 0.5 * math.log(2.0), abs=1e-11)


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 2), (3, 4), (7, 1), (16, 16)])
def test_the_laplace_information_is_the_difference_of_three_radial_integrals(shape):
    found = LAPLACE(*shape, rho=0.0).mutual_information()
    first, second, both = map(laplace_entropy, (*shape, sum(shape)))
    assert found.value == pytest.approx(first + second - both, abs=1e-9)
    assert found.error < 1e-11
    assert found.pmi_std is None


@few
@given(dims, st.floats(-0.1, 0.999))
def test_correlation_adds_the_gaussian_information(shape, rho):
    added = value(LAPLACE(*shape, rho=rho)) - value(LAPLACE(*shape, rho=0.0))
    assert added == pytest.approx(value(DENSE(*shape, rho=rho)), abs=1e-13)


@pytest.mark.parametrize(("shape", "rho"), [((1, 1), 0.6), ((2, 1), -0.3), ((3, 4), 0.2)])
def test_the_laplace_density_is_a_normal_law_of_exponential_scale(shape, rho):
    m, d = shape[0], sum(shape)
    rows = np.random.default_rng(1).standard_normal((12, d)) * np.geomspace(0.1, 4.0, 12)[:, None]
    omega = equicorrelated(d, rho)
    expected = laplace_log_density(rows, omega)
    expected -= laplace_log_density(rows[:, :m], omega[:m, :m])
    expected -= laplace_log_density(rows[:, m:], omega[m:, m:])
    found = LAPLACE(*shape, rho=rho).pointwise_mutual_information(rows[:, :m], rows[:, m:])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("k", [1, 2, 3, 6, 11, 40])
def test_the_recurrence_of_the_bessel_function_is_scipys(k):
    w = np.geomspace(1e-8, 2e3, 40)
    order = 0.5 * k - 1.0
    root = 2.0 * np.sqrt(w)
    expected = np.log(2.0 * kve(order, root)) - root - 0.5 * order * np.log(w)
    np.testing.assert_allclose(elliptical._log_density(k, w), expected, rtol=1e-12, atol=1e-11)


def test_the_laplace_density_stays_finite_at_tiny_and_huge_radii_and_many_dimensions():
    for k in (1, 2, 5, 64, 801):
        found = elliptical._log_density(k, np.geomspace(1e-200, 1e200, 60))
        assert np.isfinite(found).all()
        assert (np.diff(found) <= 0.0).all()


def test_the_laplace_margins_and_the_common_scale_are_those_of_the_model():
    x, y = LAPLACE(2, 3, rho=0.4).sample(N, np.random.default_rng(2))
    law = stats.laplace(scale=math.sqrt(0.5))
    for column in (*x.T, *y.T):
        assert stats.kstest(column, law.cdf).pvalue > 1e-4
    # r² = W times a χ² variable is white once Ω is undone; kurtosis moves the error of a moment
    rows = np.hstack((x, y))
    error = math.sqrt(2.0 * 6.0 / N)
    assert (np.abs(rows.T @ rows / N - equicorrelated(5, 0.4)) < 5.0 * error).all()
    x, y = LAPLACE(400, 400, rho=0.0).sample(400, np.random.default_rng(3))
    scale = (x**2).mean(axis=1), (y**2).mean(axis=1)
    # a mean of 400 squares has a relative standard deviation of √(2/400), a ratio of two 0.1
    assert np.abs(np.log(scale[0] / scale[1])).max() < 5.0 * 0.1
    assert stats.kstest(scale[0], "expon").pvalue > 1e-4


def test_an_integral_of_the_radius_that_loses_mass_is_no_value(monkeypatch):
    log_density = elliptical._log_density
    monkeypatch.setattr(elliptical, "_log_density", lambda k, w: log_density(k, w) + 1e-6)
    elliptical._entropy.cache_clear()
    try:
        with pytest.raises(integrate.NotConverged, match=r"the radius has mass 1\.000001"):
            value(LAPLACE(2, 2, rho=0.0))
    finally:
        elliptical._entropy.cache_clear()


def test_many_dimensions_tell_the_common_scale_ever_more_exactly():
    # either side knows ln W with the variance 2/d, hence I ≈ h(ln W) - ½ ln(2πe(2/d + 2/d))
    for d in (400, 1600):
        expected = 1.0 + np.euler_gamma - 0.5 * math.log(8.0 * math.pi * math.e / d)
        assert value(LAPLACE(d, d, rho=0.0)) == pytest.approx(expected, abs=8.0 / d)


@pytest.mark.parametrize("rho", [1.0, -0.25])
def test_a_degenerate_laplace_law_is_refused(rho):
    with pytest.raises(ValueError, match=r"^laplace-symmetric: rho must lie in \(-0.25, 1\)"):
        LAPLACE(3, 2, rho=rho)


def pearson_by_quadrature(m, n, kappa):
    """Entropies of three radii: mass and mean logarithm by quadrature, no digamma function."""
    with mp.workdps(30):
        kappa = mp.mpf(kappa)
        d = m + n

        def entropy(k):
            power, half = kappa + mp.mpf(d - k) / 2, mp.mpf(k) / 2
            # over v = r^2: surface/2 v^(k/2-1) (1-v)^power
            mass, mean = (
                mp.quad(lambda v, f=f: v ** (half - 1) * (1 - v) ** power * f(v), [0, 0.5, 1])
                for f in (lambda v: mp.mpf(1), lambda v: mp.log(1 - v))
            )
            surface = mp.log(mp.pi) * half - mp.loggamma(half)
            return surface + mp.log(mass) - power * mean / mass

        return float(entropy(m) + entropy(n) - entropy(d))


@pytest.mark.parametrize(
    ("m", "n", "kappa"), [(1, 1, 0.5), (2, 1, 0.0), (2, 3, 2.5), (10, 10, 0.0), (4, 1, 30.0)]
)
def test_the_pearson_information_is_that_of_radial_quadratures(m, n, kappa):
    found = PEARSON(m, n, kappa=kappa).mutual_information()
    assert abs(found.value - pearson_by_quadrature(m, n, kappa)) <= found.error + 1e-13


@few
@given(st.floats(-0.9, 5.0), seeds)
def test_the_pearson_pair_has_the_densities_of_beta_variables(kappa, seed):
    x, y = PEARSON(1, 1, kappa=kappa).sample(9, np.random.default_rng(seed))
    joint = math.log((kappa + 1.0) / math.pi) + kappa * np.log1p(-(x**2) - y**2)
    margin = stats.beta(kappa + 1.5, kappa + 1.5, loc=-1.0, scale=2.0)
    expected = (joint - margin.logpdf(x) - margin.logpdf(y)).ravel()
    found = PEARSON(1, 1, kappa=kappa).pointwise_mutual_information(x, y)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-8)


@few
@given(st.floats(-0.9, 5.0), seeds)
def test_a_plane_and_a_line_have_their_written_out_densities(kappa, seed):
    x, y = PEARSON(2, 1, kappa=kappa).sample(9, np.random.default_rng(seed))
    square = (x**2).sum(axis=1)
    # the volume of the ball of ℝ³ under (1-r²)^κ is π^(3/2) Γ(κ+1)/Γ(κ+5/2)
    constant = gammaln(kappa + 2.5) - gammaln(kappa + 1.0) - 1.5 * math.log(math.pi)
    joint = constant + kappa * np.log1p(-square - y[:, 0] ** 2)
    plane = math.log((kappa + 1.5) / math.pi) + (kappa + 0.5) * np.log1p(-square)
    line = stats.beta(kappa + 2.0, kappa + 2.0, loc=-1.0, scale=2.0).logpdf(y[:, 0])
    found = PEARSON(2, 1, kappa=kappa).pointwise_mutual_information(x, y)
    np.testing.assert_allclose(found, joint - plane - line, rtol=1e-9, atol=1e-8)


@pytest.mark.parametrize(("m", "n", "kappa"), [(1, 1, -0.5), (3, 2, 0.0), (2, 5, 4.0)])
def test_radii_and_coordinates_have_the_laws_of_the_model(m, n, kappa):
    x, y = PEARSON(m, n, kappa=kappa).sample(N, np.random.default_rng(4))
    rows = np.hstack((x, y))
    for block, k in ((x, m), (y, n), (rows, m + n)):
        law = stats.beta(0.5 * k, kappa + 1.0 + 0.5 * (m + n - k))
        assert stats.kstest((block**2).sum(axis=1), law.cdf).pvalue > 1e-4
    # a line through the centre in any direction, not only along an axis
    along = rows @ (np.arange(1.0, m + n + 1.0) / np.linalg.norm(np.arange(1.0, m + n + 1.0)))
    shape = kappa + 0.5 * (m + n) + 0.5
    assert stats.kstest(along, stats.beta(shape, shape, loc=-1.0, scale=2.0).cdf).pvalue > 1e-4


@few
@given(dims)
def test_the_uniform_ball_is_a_pearson_law_of_power_zero(shape):
    assert value(BALL(*shape)) == value(PEARSON(*shape, kappa=0.0))
    x, y = BALL(*shape).sample(9, np.random.default_rng(5))
    again = PEARSON(*shape, kappa=0.0).sample(9, np.random.default_rng(5))
    np.testing.assert_array_equal(x, again[0])
    np.testing.assert_array_equal(y, again[1])
    np.testing.assert_array_equal(
        BALL(*shape).pointwise_mutual_information(x, y),
        PEARSON(*shape, kappa=0.0).pointwise_mutual_information(x, y),
    )


def test_the_disk_has_an_elementary_information_and_uniform_points():
    assert value(BALL(1, 1)) == pytest.approx(math.log(math.pi) - 1.0, abs=1e-14)
    x, y = BALL(1, 1).sample(N, np.random.default_rng(6))
    assert stats.kstest((x**2 + y**2).ravel(), "uniform").pvalue > 1e-4
    angle = np.arctan2(y, x).ravel() / (2.0 * math.pi) + 0.5
    assert stats.kstest(angle, "uniform").pvalue > 1e-4


@pytest.mark.parametrize("log_gap", [-14.0, -9.0, -3.0])
def test_the_information_diverges_towards_the_sphere(log_gap):
    gap = 10.0**log_gap
    kappa = -1.0 + gap
    gap = kappa + 1.0  # what is left of it after rounding
    found = value(PEARSON(2, 3, kappa=kappa))
    # -ln of the gap remains beside 1/gap
    assert gap * found == pytest.approx(1.0, abs=20.0 * gap * abs(math.log(gap)))
    if log_gap == -3.0:
        assert found == pytest.approx(pearson_by_digits(2, 3, kappa), rel=1e-12)


def pearson_by_digits(m, n, kappa):
    with mp.workdps(60):
        a, b, c = mp.mpf(m) / 2, mp.mpf(n) / 2, mp.mpf(kappa) + 1

        def g(x):
            return mp.loggamma(x) - (x - 1) * mp.digamma(x)

        return float(g(c + a) + g(c + b) - g(c) - g(c + a + b))


@few
@given(dims, st.floats(-3.0, 12.0).map(lambda e: 10.0**e))
def test_any_power_keeps_the_digits_that_the_error_promises(shape, kappa):
    found = PEARSON(*shape, kappa=kappa).mutual_information()
    expected = pearson_by_digits(*shape, kappa)
    assert abs(found.value - expected) <= found.error
    if kappa > 20.0:
        assert found.value == pytest.approx(expected, rel=1e-11)


def test_a_great_power_gives_independent_normal_coordinates():
    kappa = 1e7
    assert value(PEARSON(3, 2, kappa=kappa)) == pytest.approx(6.0 / 8.0 / kappa**2, rel=1e-5)
    x, y = PEARSON(3, 2, kappa=kappa).sample(N, np.random.default_rng(7))
    for column in (*x.T, *y.T):
        assert stats.kstest(math.sqrt(2.0 * kappa) * column, "norm").pvalue > 1e-4


@pytest.mark.parametrize(("family", "theta"), [(PEARSON, {"kappa": 0.7}), (LAPLACE, {"rho": 0.3})])
def test_the_two_sides_can_be_exchanged(family, theta):
    for m, n in ((1, 4), (3, 2)):
        member, swapped = family(m, n, **theta), family(n, m, **theta)
        assert value(swapped) == pytest.approx(value(member), rel=1e-13)
        x, y = member.sample(20, np.random.default_rng(8))
        found = member.pointwise_mutual_information(x, y)
        np.testing.assert_allclose(swapped.pointwise_mutual_information(y, x), found, rtol=1e-9)


def test_information_falls_with_the_power_and_grows_with_the_dimensions():
    values = [value(PEARSON(2, 2, kappa=float(k))) for k in np.linspace(-0.9, 20.0, 40)]
    assert (np.diff(values) < 0.0).all()
    for family, theta in ((BALL, {}), (LAPLACE, {"rho": 0.0})):
        values = [value(family(d, 2, **theta)) for d in range(1, 12)]
        assert (np.diff(values) > 0.0).all()


def test_no_correlation_is_not_independence():
    for member in (LAPLACE(2, 2, rho=0.0), BALL(2, 2)):
        x, y = member.sample(N, np.random.default_rng(9))
        assert np.abs(np.corrcoef(x.T, y.T)[:2, 2:]).max() < 5.0 * math.sqrt(6.0 / N)
        squares = np.corrcoef((x**2).sum(axis=1), (y**2).sum(axis=1))[0, 1]
        assert abs(squares) > 0.1
        assert value(member) > 0.05


def test_points_on_the_edge_of_the_ball_and_just_beyond_stay_finite():
    for kappa in (-0.4, 0.0, 3.0):
        member = PEARSON(1, 1, kappa=kappa)
        x = np.array([[0.6], [np.float32(0.6)], [1.0], [0.0], [0.0]])
        y = np.array([[0.8], [np.float32(0.8)], [0.0], [0.0], [1.0 + 1e-8]])
        found = member.pointwise_mutual_information(x, y)
        assert np.isfinite(found).all()
        assert found[2] == pytest.approx(found[4], rel=1e-6)  # the edge and just beyond it
        inside = np.array([[math.sqrt(1.0 - 2.0**-24)]])  # single precision goes no further
        nearest = member.pointwise_mutual_information(np.zeros((1, 1)), inside)
        assert found[4] == pytest.approx(nearest[0], rel=1e-6)


def test_a_law_on_the_sphere_is_refused_with_the_reason():
    reason = re.escape(PEARSON.parameters["kappa"].reason)
    with pytest.raises(
        ValueError, match=rf"^pearson-ii: kappa must lie in \(-1, inf\).*{reason}$"
    ):
        PEARSON(2, 2, kappa=-1.0)
