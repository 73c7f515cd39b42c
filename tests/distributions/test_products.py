"""Multiplicative noise: what the common tests of samples against densities cannot see."""

import math
import re

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad

from mistdata.distributions import FAMILIES
from mistdata.distributions.families import products
from mistdata.distributions.families._coordinatewise import most_information

UNIFORM = FAMILIES["product-uniform"]
BETA = FAMILIES["product-beta"]
LOGNORMAL = FAMILIES["product-lognormal"]
NORMAL = FAMILIES["product-normal"]
HETEROSCEDASTIC = FAMILIES["heteroscedastic"]
few = settings(max_examples=15)
EXAMPLES = [
    (UNIFORM, {"ratio": 0.4}),
    (BETA, {"a": 1.3, "b": 1.6, "c": 2.2}),
    (LOGNORMAL, {"ratio": 1.5, "spread": 0.8}),
    (NORMAL, {"m": 0.9}),
    (HETEROSCEDASTIC, {"b": 0.8}),
]
every_example = pytest.mark.parametrize(("family", "theta"), EXAMPLES)


def value(family, **theta):
    return family(1, 1, **theta).mutual_information().value


def std(family, **theta):
    return family(1, 1, **theta).mutual_information().pmi_std


def hypoexponential_by_mpmath(ratio):
    """h(-ln Y) - h(-ln N) with 30 digits."""
    with mpmath.workdps(30):
        r = mpmath.mpf(ratio)
        a, b = min(mpmath.mpf(1), r), min(mpmath.mpf(1), 1 / r)

        def integrand(s):
            if a == b:
                p = s * mpmath.exp(-s)
            else:
                p = (mpmath.exp(-s / a) - mpmath.exp(-s / b)) / (a - b)
            return -p * mpmath.log(p) if p > 0 else mpmath.mpf(0)

        least = min(a, b)
        knots = [0, least / 4, least, 3 * least, 9 * least, 1, 2, 4, 8, 16, 32, 75]
        return float(mpmath.quad(integrand, sorted(set(knots))) - 1 - mpmath.log(b))


@pytest.mark.parametrize(
    "ratio", [1e-3, 0.03, 0.5, 0.949, 0.951, 0.99999, 1.0, 1.0001, 1.052, 1.053, 7.0, 300.0]
)
def test_product_uniform_equals_the_entropy_with_30_digits(ratio):
    found = UNIFORM(1, 1, ratio=ratio).mutual_information()
    assert abs(found.value - hypoexponential_by_mpmath(ratio)) <= found.error


def test_product_uniform_is_smooth_where_the_two_spreads_are_equal():
    for step in (1e-4, 1e-6, 1e-9):
        below, at, above = (value(UNIFORM, ratio=1.0 + k * step) for k in (-1, 0, 1))
        assert above - below == pytest.approx(step, rel=1e-3)  # dI/dρ = ½ at ρ = 1
        assert at == pytest.approx(np.euler_gamma, abs=1e-13)
    for edge in (1.0 - 1e-4, 1.0 / (1.0 - 1e-4)):
        inside, outside = (std(UNIFORM, ratio=edge * (1.0 + k * 1e-6)) for k in (-1, 1))
        assert inside == pytest.approx(outside, rel=2e-4)


def deviation_by_double_quadrature(ratio, points=600):
    """Over both exponentials, each a quantile of its own, denser towards the ends."""
    u = (np.arange(points) + 0.5) / points
    quantile = u**3 * (10.0 - 15.0 * u + 6.0 * u * u)
    weight = 30.0 * (u * (1.0 - u)) ** 2 / points
    first, second = np.meshgrid(-np.log1p(-quantile), -np.log1p(-quantile))
    a, b = min(1.0, ratio), min(1.0, 1.0 / ratio)
    sum_ = a * first + b * second
    if a == b:
        log_p = np.log(sum_) - sum_
    else:
        log_p = np.log((np.exp(-sum_ / a) - np.exp(-sum_ / b)) / (a - b))
    pointwise = -second - math.log(b) - log_p
    mean = weight @ pointwise @ weight
    return math.sqrt(weight @ (pointwise - mean) ** 2 @ weight)


@pytest.mark.parametrize("ratio", [0.1, 0.6, 1.0, 2.0, 9.0])
def test_the_deviation_of_product_uniform_is_that_of_a_double_quadrature(ratio):
    expected = deviation_by_double_quadrature(ratio)
    assert std(UNIFORM, ratio=ratio) == pytest.approx(expected, rel=1e-4)


def beta_by_quadrature(a, b, c):
    """Difference of the entropies of ln Y and ln N, each by adaptive quadrature over ln v."""

    def entropy(p, q):
        law = stats.beta(p, q)

        def integrand(t):
            v = math.exp(-t)
            log_density = float(law.logpdf(v)) - t
            return -math.exp(log_density) * log_density if log_density > -700.0 else 0.0

        pieces = [(0.0, 0.01), (0.01, 0.3), (0.3, 2.0), (2.0, 10.0), (10.0, 90.0)]
        return sum(quad(integrand, *ends, limit=400)[0] for ends in pieces)

    return entropy(a, b + c) - entropy(a + b, c)


@few
@given(st.floats(0.5, 5.0), st.floats(1.0, 5.0), st.floats(1.0, 30.0))
def test_product_beta_equals_the_difference_of_two_quadratures(a, b, c):
    assert value(BETA, a=a, b=b, c=c) == pytest.approx(beta_by_quadrature(a, b, c), abs=1e-6)


def test_uniform_factors_are_the_beta_law_with_unit_shapes():
    # X ~ Beta(1, 1) = U and N ~ Beta(2, 1) = √U
    expected = hypoexponential_by_mpmath(2.0)
    assert value(BETA, a=1.0, b=1.0, c=1.0) == pytest.approx(expected, abs=1e-12)


def test_the_beta_information_vanishes_when_x_or_the_noise_says_nothing():
    assert value(BETA, a=2.0, b=1e-6, c=3.0) < 1e-5
    assert value(BETA, a=2.0, b=1.0, c=1e9) > 0.01  # the noise becomes a gamma law
    gamma = value(BETA, a=2.0, b=1.0, c=1e6)
    assert value(BETA, a=2.0, b=1.0, c=1e8) == pytest.approx(gamma, abs=1e-5)


@few
@given(st.floats(1e-3, 1e3), st.floats(0.01, 8.0))
def test_product_lognormal_is_a_gaussian_pair_on_the_logarithmic_scale(ratio, spread):
    rho = ratio / math.hypot(1.0, ratio)
    expected = -0.5 * math.log1p(-rho * rho)
    found = LOGNORMAL(1, 1, ratio=ratio, spread=spread).mutual_information()
    assert found.value == pytest.approx(expected, rel=1e-9)
    assert found.pmi_std == pytest.approx(rho, rel=1e-12)


def normal_times_nakagami_by_mpmath(m):
    """The entropy of the Bessel density of ln|Y|, which the family does not use."""
    with mpmath.workdps(20):
        m = mpmath.mpf(m)
        half = mpmath.mpf(1) / 2
        constant = 2 * (m / 2) ** ((m + half) / 2) / (mpmath.gamma(m) * mpmath.sqrt(mpmath.pi))
        step, entropy, mass = half / 3, 0, 0
        s = mpmath.mpf(-40) / min(1, 2 * m)
        while s < math.log(70 / math.sqrt(2 * m)):
            y = mpmath.exp(s)
            p = constant * y ** (m - half) * mpmath.besselk(m - half, y * mpmath.sqrt(2 * m))
            weight = 2 * p * y * step
            entropy -= weight * mpmath.log(p)
            mass += weight
            s += step
        assert abs(mass - 1) < 1e-10
        mean_log = (mpmath.digamma(m) - mpmath.log(m)) / 2  # E ln|X|
        return float(entropy - mpmath.log(2 * mpmath.pi * mpmath.e) / 2 - mean_log)


@pytest.mark.parametrize("m", [0.15, 0.5, 1.0, 4.0])
def test_product_normal_equals_the_entropy_of_its_bessel_density(m):
    assert value(NORMAL, m=m) == pytest.approx(normal_times_nakagami_by_mpmath(m), abs=5e-11)


def heteroscedastic_by_gauss_hermite(b):
    """h(Y) of a Gauss-Hermite mixture of normals on a fine grid."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    y = np.linspace(0.0, 60.0 * math.exp(2.0 * b), 100_001)
    p = sum(
        w * stats.norm.pdf(y, scale=math.exp(b * x)) for x, w in zip(nodes, weights, strict=True)
    )
    p /= weights.sum()
    terms = -p * np.log(np.where(p > 0.0, p, 1.0))
    return 2.0 * np.trapezoid(terms, y) - 0.5 * math.log(2.0 * math.pi * math.e)


@pytest.mark.parametrize("b", [0.05, 0.2, 0.5])
def test_heteroscedastic_equals_the_entropy_of_a_mixture(b):
    assert value(HETEROSCEDASTIC, b=b) == pytest.approx(
        heteroscedastic_by_gauss_hermite(b), abs=1e-9
    )


@pytest.mark.parametrize("b", [1.0, 3.0])
def test_heteroscedastic_equals_a_nested_quadrature(b):
    def density(y):
        return quad(
            lambda x: math.exp(-0.5 * x * x - b * x - 0.5 * (y * math.exp(-b * x)) ** 2),
            -9.0 - b,
            9.0,
            epsabs=0.0,
            epsrel=1e-10,
            limit=200,
        )[0] / (2.0 * math.pi)

    s = np.arange(-30.0, 5.0 + 6.0 * b, 0.125)
    p = np.array([density(math.exp(each)) for each in s])
    entropy = -2.0 * 0.125 * (p * np.log(np.maximum(p, 1e-300)) * np.exp(s)).sum()
    expected = entropy - 0.5 * math.log(2.0 * math.pi * math.e)
    assert value(HETEROSCEDASTIC, b=b) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize(
    ("family", "key", "direct", "low", "high"),
    [
        (NORMAL, "m", products._normal_times_nakagami, 0.1, 50.0),
        (HETEROSCEDASTIC, "b", products._normal_times_lognormal, 0.01, 8.0),
    ],
)
def test_the_tables_keep_their_word(family, key, direct, low, high):
    for each in np.geomspace(low * 1.001, high * 0.999, 12):
        table, exact = (
            family(1, 1, **{key: float(each)}).mutual_information(),
            direct(math.log(each)),
        )
        assert abs(table.value - exact.value) <= table.error < 5e-11
        assert table.pmi_std == pytest.approx(exact.pmi_std, abs=1e-9)


def test_weak_dependence_has_its_leading_term():
    assert value(HETEROSCEDASTIC, b=0.001) == pytest.approx(1e-6, rel=1e-4)
    assert value(HETEROSCEDASTIC, b=0.02) == pytest.approx(4e-4, rel=1e-2)
    assert value(NORMAL, m=50.0) == pytest.approx(1.0 / 200.0, rel=0.02)
    assert value(UNIFORM, ratio=1e-6) == pytest.approx(1e-6 * (math.pi**2 / 6.0 - 1.0), rel=1e-5)


@pytest.mark.parametrize("seed", [1])
def test_the_margins_are_those_of_the_model(seed):
    n, rng = 20_000, np.random.default_rng(seed)
    x, y = UNIFORM(2, 2, ratio=0.4).sample(n, rng)
    assert stats.kstest(x[:, 1] ** 2.5, "uniform").pvalue > 1e-4
    assert stats.kstest((y / x)[:, 0], "uniform").pvalue > 1e-4
    x, y = UNIFORM(2, 2, ratio=5.0).sample(n, rng)
    assert stats.kstest(x[:, 0], "uniform").pvalue > 1e-4
    assert stats.kstest((y / x)[:, 0] ** 5.0, "uniform").pvalue > 1e-4
    x, y = BETA(2, 2, a=1.3, b=1.6, c=2.2).sample(n, rng)
    assert stats.kstest(x[:, 1], stats.beta(1.3, 1.6).cdf).pvalue > 1e-4
    assert stats.kstest(y[:, 1], stats.beta(1.3, 3.8).cdf).pvalue > 1e-4
    x, y = LOGNORMAL(2, 2, ratio=2.0, spread=0.5).sample(n, rng)
    assert stats.kstest(np.log(x[:, 0]), stats.norm(scale=1.0 / math.sqrt(5.0)).cdf).pvalue > 1e-4
    assert stats.kstest(np.log(y[:, 0]), stats.norm(scale=0.5).cdf).pvalue > 1e-4
    x, y = NORMAL(2, 2, m=0.5).sample(n, rng)
    assert stats.kstest(x[:, 1], "norm").pvalue > 1e-4
    assert stats.kstest((y / x)[:, 1], "norm").pvalue > 1e-4
    x, _ = NORMAL(2, 2, m=2.0).sample(n, rng)
    assert stats.kstest(np.abs(x[:, 0]), stats.nakagami(2.0).cdf).pvalue > 1e-4
    assert abs(np.sign(x[:, 0]).mean()) < 5.0 / math.sqrt(n)
    x, y = HETEROSCEDASTIC(2, 2, b=0.8).sample(n, rng)
    assert stats.kstest(x[:, 0], "norm").pvalue > 1e-4
    assert stats.kstest((y * np.exp(-0.8 * x))[:, 0], "norm").pvalue > 1e-4
    fit = stats.linregress(x[:, 0], np.log(np.abs(y[:, 0])))
    assert abs(fit.slope - 0.8) < 5.0 * fit.stderr


@pytest.mark.parametrize("family", [NORMAL, HETEROSCEDASTIC])
def test_zero_correlation_is_not_independence(family):
    x, y = family(1, 1, **{next(iter(family.parameters)): 0.5}).sample(
        20_000, np.random.default_rng(5)
    )
    products_ = (x * y).ravel()
    assert abs(products_.mean()) < 5.0 * products_.std() / math.sqrt(len(products_))
    assert value(family, **{next(iter(family.parameters)): 0.5}) > 0.1


@every_example
def test_coordinates_add_up(family, theta):
    one, seven = (family(d, d, **theta).mutual_information() for d in (1, 7))
    assert seven.value == pytest.approx(7.0 * one.value, rel=1e-14)
    if one.pmi_std is not None:
        assert seven.pmi_std == pytest.approx(math.sqrt(7.0) * one.pmi_std, rel=1e-14)


@pytest.mark.parametrize(
    ("family", "key", "sign", "fixed"),
    [
        (UNIFORM, "ratio", 1, {}),
        (BETA, "b", 1, {"a": 2.0, "c": 2.0}),
        (BETA, "c", -1, {"a": 2.0, "b": 2.0}),
        (NORMAL, "m", -1, {}),
        (HETEROSCEDASTIC, "b", 1, {}),
    ],
)
def test_information_is_monotone(family, key, sign, fixed):
    grid = np.geomspace(0.11, 7.9, 40)
    values = [value(family, **{key: float(each)}, **fixed) for each in grid]
    assert (sign * np.diff(values) > 0.0).all()


@pytest.mark.parametrize("dim", [1, 6, 64])
@every_example
def test_no_prior_asks_for_more_information_than_the_dimensions_bear(family, theta, dim):
    rng = np.random.default_rng(6)
    drawn = [family.draw(dim, dim, rng).mutual_information().value for _ in range(100)]
    assert max(drawn) < 1.3 * dim * most_information(dim)
    assert max(drawn) > 4.0 * np.quantile(drawn, 0.1)


@every_example
def test_points_below_the_resolution_of_single_precision_stay_finite(family, theta):
    x = np.array([[1.0], [0.5], [1.0 - 2.0**-24], [0.25]])
    y = np.array([[1.0], [0.5], [1.0], [2.0**-60]])
    assert np.isfinite(family(1, 1, **theta).pointwise_mutual_information(x, y)).all()


@pytest.mark.parametrize("m", [20.0, 50.0])
def test_the_bessel_density_does_not_overflow_near_zero(m):
    member = NORMAL(1, 1, m=m)
    y = np.geomspace(1e-30, 1e-3, 200)[:, None]
    found = member.pointwise_mutual_information(np.ones_like(y), y)
    assert np.ptp(found) < 1e-3  # p(y) is flat at 0


@pytest.mark.parametrize("family", [UNIFORM, BETA])
def test_a_product_beyond_its_factor_has_no_density(family):
    theta = dict(EXAMPLES)[family]
    found = family(1, 1, **theta).pointwise_mutual_information(
        np.array([[0.5]]), np.array([[0.501]])
    )
    assert found[0] == -math.inf


@every_example
def test_singular_members_are_refused(family, theta):
    for key in theta:
        with pytest.raises(ValueError, match=re.escape(family.parameters[key].reason)):
            family(1, 1, **{**theta, key: 0.0})
