"""Waiting times, their rates and their sums against written-out densities and one another.

Statistical tests have fixed seeds. The 24 Kolmogorov-Smirnov and binomial tests have a
false-alarm rate of 1e-4 each; |z| < 5 has one of 6e-7.
"""

import math
import re

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad
from scipy.special import gammaln, ive

from mistdata.distributions import FAMILIES
from mistdata.distributions.families import _exponentials as exponentials
from mistdata.distributions.families._kibble import kibble_information, log_bessel
from mistdata.distributions.integrate import NotConverged
from tests.distributions.densities_by_hand import axis, mesh, moments

SYMMETRIC = [
    ("gamma-kibble", {"k": 0.7, "r": 0.6}),
    ("exponential-gumbel", {"delta": 0.4}),
]
log_shapes = st.floats(-6.0, 7.0)
some = settings(max_examples=60)


def member_of(name, dims=(1, 1), **theta):
    return FAMILIES[name](*dims, **theta)


def value(name, dims=(1, 1), **theta):
    return member_of(name, dims, **theta).mutual_information().value


# for every family its log-densities (of x and y, of x, of y) as the literature writes them, and
# a grid: x, y and the logarithm of the volume of a cell


def gamma_law(z, shape):
    return (shape - 1.0) * np.log(z) - z - gammaln(shape)


def rate_mixture(x, y, k, rate_shape):
    n, x, t = y.shape[1], x[:, 0], y.sum(axis=1)
    powers = (k - 1.0) * np.log(y).sum(axis=1) - n * gammaln(k)
    only_x = gamma_law(x, rate_shape)
    only_y = powers + gammaln(n * k + rate_shape) - gammaln(rate_shape)
    only_y -= (n * k + rate_shape) * np.log1p(t)
    return only_x + powers + n * k * np.log(x) - x * t, only_x, only_y


def rate_grid(n, k, rate_shape):
    waiting = [axis(-26.0 / k, 4.5, 0.36 if n > 1 else 0.25)] * n
    s, log_volume = mesh(axis(-26.0 / rate_shape, 4.5, 0.25), *waiting)
    x, y = np.exp(s[:, :1]), np.exp(s[:, 1:] - s[:, :1])
    return x, y, log_volume + s[:, 0] + np.log(y).sum(axis=1)


def gamma_exponential(x, y, rate_shape):
    return rate_mixture(x, y, 1.0, rate_shape)


def gamma_exponential_grid(n, rate_shape):
    return rate_grid(n, 1.0, rate_shape)


def gamma_additive(x, y, a, b):
    x, y = x[:, 0], y[:, 0]
    only_x = gamma_law(x, a)
    return only_x + gamma_law(y - x, b), only_x, gamma_law(y, a + b)


def sum_grid(n, low_x, low_noise, high_x, high_noise):
    s, log_volume = mesh(axis(low_x, high_x, 0.1), axis(low_noise, high_noise, 0.1))
    x = np.exp(s[:, :1])
    y = x + np.exp(s[:, 1:])
    near = (y > x)[:, 0]  # the others hold less than 1e-12
    return x[near], y[near], (log_volume + s.sum(axis=1))[near]


def gamma_additive_grid(n, a, b):
    return sum_grid(n, -26.0 / a, -26.0 / b, 4.5, 4.5)


def exponential_ordered(x, y, mean):
    x, y = x[:, 0], y[:, 0]
    only_x = math.log(2.0) - 2.0 * x
    later = -math.log(mean) - (y - x) / mean
    if mean == 0.5:
        return only_x + later, only_x, math.log(4.0) + np.log(y) - 2.0 * y
    slope = np.expm1((1.0 / mean - 2.0) * y) / (1.0 / mean - 2.0)
    return only_x + later, only_x, math.log(2.0 / mean) - y / mean + np.log(slope)


def exponential_ordered_grid(n, mean):
    return sum_grid(n, -26.0, -26.0 + math.log(mean), 3.0, 4.0 + math.log(mean))


def gamma_kibble(x, y, k, r):
    x, y = x[:, 0], y[:, 0]
    z = 2.0 * np.sqrt(r * x * y) / (1.0 - r)
    joint = 0.5 * (k - 1.0) * np.log(x * y / r) - (x + y) / (1.0 - r)
    joint += np.log(ive(k - 1.0, z)) + z - gammaln(k) - math.log(1.0 - r)
    return joint, gamma_law(x, k), gamma_law(y, k)


def tensor_grid(low, high, step):
    s, log_volume = mesh(axis(low, high, step), axis(low, high, step))
    return np.exp(s[:, :1]), np.exp(s[:, 1:]), log_volume + s.sum(axis=1)


def gamma_kibble_grid(n, k, r):
    return tensor_grid(-26.0 / k, 4.0, 0.08)


def exponential_gumbel(x, y, delta):
    x, y = x[:, 0], y[:, 0]
    log_factor = np.log((1.0 + delta * x) * (1.0 + delta * y) - delta)
    return log_factor - x - y - delta * x * y, -x, -y


def exponential_gumbel_grid(n, delta):
    return tensor_grid(-26.0, 4.0, 0.1)


LAWS = {
    "gamma-exponential": (gamma_exponential, gamma_exponential_grid),
    "gamma-gamma": (rate_mixture, rate_grid),
    "gamma-additive": (gamma_additive, gamma_additive_grid),
    "exponential-ordered": (exponential_ordered, exponential_ordered_grid),
    "gamma-kibble": (gamma_kibble, gamma_kibble_grid),
    "exponential-gumbel": (exponential_gumbel, exponential_gumbel_grid),
}
EXAMPLES = [
    ("gamma-exponential", (1, 1), {"rate_shape": 0.6}),
    ("gamma-exponential", (1, 2), {"rate_shape": 4.0}),
    ("gamma-gamma", (1, 1), {"k": 2.5, "rate_shape": 1.3}),
    ("gamma-gamma", (1, 2), {"k": 0.7, "rate_shape": 2.0}),
    ("gamma-additive", (1, 1), {"a": 0.7, "b": 1.8}),
    ("gamma-additive", (1, 1), {"a": 3.0, "b": 1.3}),
    ("exponential-ordered", (1, 1), {"mean": 0.2}),
    ("exponential-ordered", (1, 1), {"mean": 0.5}),
    ("exponential-ordered", (1, 1), {"mean": 0.505}),
    ("exponential-ordered", (1, 1), {"mean": 3.0}),
    ("gamma-kibble", (1, 1), {"k": 0.7, "r": 0.6}),
    ("gamma-kibble", (1, 1), {"k": 2.2, "r": 0.8}),
    ("exponential-gumbel", (1, 1), {"delta": 0.3}),
    ("exponential-gumbel", (1, 1), {"delta": 1.0}),
]
every_example = pytest.mark.parametrize(("name", "dims", "theta"), EXAMPLES)


@every_example
def test_the_information_is_that_of_the_written_out_densities(name, dims, theta):
    densities, grid = LAWS[name]
    x, y, log_volume = grid(dims[1], **theta)
    joint, only_x, only_y = densities(x, y, **theta)
    mass, mean, deviation = moments(joint + log_volume, joint - only_x - only_y)
    found = member_of(name, dims, **theta).mutual_information()
    assert mass == pytest.approx(1.0, abs=1e-8)
    assert found.value == pytest.approx(mean, abs=1e-8)
    assert found.pmi_std == pytest.approx(deviation, rel=1e-6)


@every_example
def test_the_pointwise_information_is_joint_less_marginal_log_densities(name, dims, theta):
    member = member_of(name, dims, **theta)
    x, y = member.sample(500, np.random.default_rng(1))
    joint, only_x, only_y = LAWS[name][0](x, y, **theta)
    found = member.pointwise_mutual_information(x, y)
    assert found == pytest.approx(joint - only_x - only_y, rel=1e-8, abs=1e-8)


def noise_by_quadrature(snr):
    """Mean and deviation of ln p(y|x)/p(y), the atom at x = 0 and the rest apart."""

    def ratio(x, noise):
        return -noise + (x + noise) / (1.0 + snr) + math.log1p(snr)

    noise, log_step = mesh(axis(-40.0, 4.5, 0.1))
    s, log_volume = mesh(axis(-40.0, 4.5, 0.1), axis(-40.0, 4.5, 0.1))
    silent, loud = np.exp(noise[:, 0]), np.exp(s)
    log_weight = np.concatenate(
        (
            log_step + noise[:, 0] - silent - math.log1p(snr),
            log_volume + (s - loud).sum(axis=1) + math.log(snr / (1.0 + snr)),
        )
    )
    pointwise = np.concatenate((ratio(0.0, silent), ratio((1.0 + snr) * loud[:, 0], loud[:, 1])))
    return moments(log_weight, pointwise)


@pytest.mark.parametrize("snr", [0.05, 1.0, 30.0])
def test_the_noise_channel_has_the_information_of_its_densities(snr):
    mass, mean, deviation = noise_by_quadrature(snr)
    member = member_of("exponential-noise", snr=snr)
    found = member.mutual_information()
    assert mass == pytest.approx(1.0, abs=1e-10)
    assert found.value == pytest.approx(mean, abs=1e-9)
    assert found.pmi_std == pytest.approx(deviation, rel=1e-9)
    x, y = member.sample(200, np.random.default_rng(2))
    expected = -(y - x) + y / (1.0 + snr) + math.log1p(snr)
    assert member.pointwise_mutual_information(x, y) == pytest.approx(expected[:, 0], abs=1e-10)


@pytest.mark.parametrize("snr", [0.5, 3.0])
def test_the_output_of_the_noise_channel_is_exponential(snr):
    for y in (0.1, 1.0, 4.0):
        signal = quad(lambda x: math.exp(x * snr / (1.0 + snr)), 0.0, y)[0] / (1.0 + snr)
        density = math.exp(-y) * (1.0 + snr * signal) / (1.0 + snr)
        assert density == pytest.approx(math.exp(-y / (1.0 + snr)) / (1.0 + snr), rel=1e-10)


@pytest.mark.parametrize(("name", "theta"), SYMMETRIC)
def test_the_two_sides_of_symmetric_families_can_be_exchanged(name, theta):
    member = member_of(name, **theta)
    x, y = member.sample(10_000, np.random.default_rng(3))
    found = member.pointwise_mutual_information(x, y)
    assert member.pointwise_mutual_information(y, x) == pytest.approx(found, rel=1e-10)
    # the sampler treats the sides differently, their difference must not
    assert stats.ks_2samp((x - y)[:5000, 0], (y - x)[5000:, 0]).pvalue > 1e-4


@pytest.mark.parametrize("theta", [0.3, 2.0, 40.0])
def test_exponential_waiting_times_are_gamma_variables_of_shape_one(theta):
    one, other = (
        member_of("gamma-exponential", (1, 3), rate_shape=theta),
        member_of("gamma-gamma", (1, 3), k=1.0, rate_shape=theta),
    )
    assert one.mutual_information() == other.mutual_information()
    x, y = one.sample(50, np.random.default_rng(4))
    again = other.pointwise_mutual_information(x, y)
    assert (one.pointwise_mutual_information(x, y) == again).all()


def test_waiting_times_count_through_their_sum():
    apart, summed = (
        member_of("gamma-gamma", (1, 5), k=0.6, rate_shape=1.4),
        member_of("gamma-gamma", k=3.0, rate_shape=1.4),
    )
    assert apart.mutual_information() == summed.mutual_information()
    x, y = apart.sample(50, np.random.default_rng(5))
    assert summed.pointwise_mutual_information(x, y.sum(axis=1, keepdims=True)) == pytest.approx(
        apart.pointwise_mutual_information(x, y), rel=1e-12
    )


def test_the_special_cases_of_the_literature():
    assert value("gamma-additive", a=1.0, b=1.0) == pytest.approx(np.euler_gamma, abs=1e-14)
    assert value("exponential-ordered", mean=0.5) == pytest.approx(np.euler_gamma, abs=1e-14)
    for theta in (0.2, 1.0, 5.0):
        expected = float(mpmath.digamma(theta + 1.0) - mpmath.log(theta))
        assert value("gamma-exponential", rate_shape=theta) == pytest.approx(expected, abs=1e-13)
    for theta in (0.1, 0.4999, 0.5001, 3.0):
        z = max(1.0, 2.0 * theta) / abs(1.0 - 2.0 * theta)
        expected = math.log(abs(1.0 - 2.0 * theta) / (2.0 * theta))
        expected += float(mpmath.digamma(z) - mpmath.digamma(1))
        assert value("exponential-ordered", mean=theta) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("mean", [0.05, 0.5, 4.0])
def test_ordered_waiting_times_are_logarithms_of_a_product_of_uniforms(mean):
    expected = value("product-uniform", ratio=0.5 / mean)
    assert value("exponential-ordered", mean=mean) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("rho", [0.3, 0.9])
def test_squared_normal_variables_are_kibbles_of_shape_one_half(rho):
    # the magnitudes of a normal pair: mixing (X, Y) with (X, -Y) leaves nothing else to know
    s, log_volume = mesh(axis(-8.0, 8.0, 0.05), axis(-8.0, 8.0, 0.05))
    a, b = s.T
    b = rho * a + math.sqrt(1.0 - rho * rho) * b
    exponent = -0.5 * rho * (rho * (a * a + b * b) - 2.0 * a * b) / (1.0 - rho * rho)
    mirrored = exponent - 2.0 * rho * a * b / (1.0 - rho * rho)
    ratio = np.logaddexp(exponent, mirrored) - math.log(2.0) - 0.5 * math.log1p(-rho * rho)
    log_weight = log_volume - 0.5 * (s * s).sum(axis=1) - math.log(2.0 * math.pi)
    _, mean, deviation = moments(log_weight, ratio)
    found = member_of("gamma-kibble", k=0.5, r=rho * rho).mutual_information()
    assert found.value == pytest.approx(mean, abs=1e-10)
    assert found.pmi_std == pytest.approx(deviation, rel=1e-8)


@pytest.mark.parametrize("r", [0.2, 0.7, 0.95])
def test_large_shapes_give_a_gaussian_pair(r):
    gaussian = -0.5 * math.log1p(-r * r)
    for k in (25.0, 100.0):
        assert value("gamma-kibble", k=k, r=r) == pytest.approx(gaussian, abs=0.5 / k)
    size = 1e6
    found = value("gamma-additive", a=size * r, b=size)
    assert found == pytest.approx(0.5 * math.log1p(r), abs=1.0 / size)
    found = value("gamma-gamma", (1, 2), k=size * r, rate_shape=size)
    assert found == pytest.approx(0.5 * math.log1p(2.0 * r), abs=1.0 / size)


def test_independent_sides_have_no_information():
    for name, theta in (
        ("gamma-kibble", {"k": 0.7, "r": 0.0}),
        ("exponential-gumbel", {"delta": 0.0}),
    ):
        member = member_of(name, **theta)
        assert value(name, **theta) == pytest.approx(0.0, abs=1e-11)
        x, y = member.sample(50, np.random.default_rng(6))
        assert np.abs(member.pointwise_mutual_information(x, y)).max() < 1e-12


def test_weak_dependence_has_its_leading_term():
    # a maximal correlation ε and no other: ε²/2
    for epsilon in (1e-3, 1e-2):
        for k in (0.5, 1.0, 7.0):
            found = value("gamma-kibble", k=k, r=epsilon)
            assert found == pytest.approx(0.5 * epsilon**2, rel=0.05)
        found = value("exponential-gumbel", delta=epsilon)
        assert found == pytest.approx(0.5 * epsilon**2, rel=5.0 * epsilon)
    assert value("gamma-exponential", rate_shape=1e7) == pytest.approx(5e-8, rel=1e-6)
    assert value("gamma-additive", a=1.0, b=1e7) == pytest.approx(5e-8, rel=1e-6)
    leading = (math.pi**2 / 6.0 - 1.0) / 2e7
    assert value("exponential-ordered", mean=1e7) == pytest.approx(leading, rel=1e-5)
    assert value("exponential-noise", snr=1e-12) == pytest.approx(1e-12, rel=1e-10)


def test_strong_dependence_has_its_leading_term():
    theta = 1e-9
    assert value("gamma-exponential", rate_shape=theta) == pytest.approx(
        -math.log(theta) - np.euler_gamma, abs=1e-8
    )
    assert value("exponential-ordered", mean=theta) == pytest.approx(
        -math.log(2.0 * theta), abs=1e-8
    )
    for b in (1e-3, 1e-6):
        expected = 1.0 / b + math.log(b) + np.euler_gamma  # h(Gamma(1)) - h(Gamma(b))
        assert value("gamma-additive", a=1.0, b=b) == pytest.approx(expected, abs=5.0 * b)
    for k in (0.5, 2.0):
        # Y given X → x is normal with the variance 2x(1-r): h(Y) less its mean entropy
        entropy = k + gammaln(k) + (1.0 - k) * float(mpmath.digamma(k))
        spread = 0.5 * math.log(4.0 * math.pi * math.e * 1e-6)
        expected = entropy - spread - 0.5 * float(mpmath.digamma(k))
        assert value("gamma-kibble", k=k, r=1.0 - 1e-6) == pytest.approx(expected, abs=2e-3)


def f_function(x):
    return mpmath.loggamma(x) - x * mpmath.digamma(x)


def gamma_entropy(a):
    return a + mpmath.loggamma(a) + (1 - a) * mpmath.digamma(a)


@some
@given(log_shapes, log_shapes)
def test_tiny_and_huge_shapes_keep_the_digits_that_the_error_promises(log_a, log_b):
    a, b = 10.0**log_a, 10.0**log_b
    with mpmath.workdps(60):
        p, q = mpmath.mpf(a), mpmath.mpf(b)
        mixture = float(f_function(q) - f_function(q + p) - p)
        additive = float(gamma_entropy(p + q) - gamma_entropy(q))
    for expected, member in (
        (mixture, member_of("gamma-gamma", k=a, rate_shape=b)),
        (additive, member_of("gamma-additive", a=a, b=b)),
    ):
        found = member.mutual_information()
        assert abs(found.value - expected) <= found.error
        assert 0.0 <= found.pmi_std < math.inf


@some
@given(st.floats(-7.0, 7.0))
def test_any_scale_of_the_second_waiting_time_keeps_its_digits(log_mean):
    mean = 10.0**log_mean
    with mpmath.workdps(60):
        theta = mpmath.mpf(mean)
        z = max(1, 2 * theta) / abs(1 - 2 * theta)
        expected = mpmath.digamma(z) - mpmath.digamma(1) + mpmath.log(abs(1 - 2 * theta))
        expected = float(expected - mpmath.log(2 * theta))
    found = member_of("exponential-ordered", mean=mean).mutual_information()
    assert abs(found.value - expected) <= found.error
    assert 0.0 < found.pmi_std < math.inf


@pytest.mark.parametrize("step", [1e-2, 1e-5, 1e-9, 1e-13])
def test_ordered_waiting_times_of_equal_means_are_no_special_point(step):
    low, at, high = (value("exponential-ordered", mean=0.5 + k * step) for k in (-1, 0, 1))
    assert low - at == pytest.approx(step, rel=2.0 * step, abs=1e-14)  # dI/dθ = -1
    assert at - high == pytest.approx(step, rel=2.0 * step, abs=1e-14)


@pytest.mark.parametrize("delta", [0.0, 0.02, 0.3, 0.77, 0.999, 1.0])
def test_the_table_of_gumbels_law_keeps_its_word(delta):
    found = member_of("exponential-gumbel", delta=delta).mutual_information()
    exact = exponentials._gumbel_information(math.sqrt(1.0 - delta))
    assert abs(found.value - exact.value) <= found.error < 1e-10
    assert found.pmi_std == pytest.approx(exact.pmi_std, abs=1e-8)


@pytest.mark.parametrize("mean", [1e-7, 0.01, 0.0101, 0.3, 1.7, 99.0, 101.0])
def test_the_table_of_the_ordered_deviation_keeps_its_word(mean):
    found = member_of("exponential-ordered", mean=mean).mutual_information()
    exact = exponentials._ordered_information(math.log(mean))
    assert found.value == pytest.approx(exact.value, abs=1e-9)
    assert found.pmi_std == pytest.approx(exact.pmi_std, rel=1e-6)


@pytest.mark.parametrize("k", [0.02, 0.5, 1.0, 3.7, 100.0])
def test_the_bessel_function_of_the_kibble_density_is_that_of_30_digits(k):
    z = np.geomspace(1e-12, 1e5, 35)
    with mpmath.workdps(30):
        expected = [
            float(mpmath.log(mpmath.hyp0f1(k, mpmath.mpf(each) ** 2 / 4)) - mpmath.mpf(each))
            for each in z.tolist()
        ]
    assert log_bessel(k, z) == pytest.approx(expected, rel=1e-11, abs=1e-12)
    assert log_bessel(k, np.zeros(1)) == 0.0


@pytest.mark.parametrize("k", [0.01, 0.4, 100.0])
@pytest.mark.parametrize("r", [1e-6, 0.5, 0.9999])
def test_the_kibble_integral_converges_at_extreme_parameters(k, r):
    found = kibble_information(k, r)
    assert found.error < 1e-9 * (1.0 + found.value)
    assert found.value > 0.0


def test_a_kibble_integral_that_does_not_converge_is_no_value(monkeypatch):
    monkeypatch.setattr("mistdata.distributions.families._kibble.STEP", 3.0)
    with pytest.raises(NotConverged, match=r"^gamma-kibble: the integral is off by "):
        kibble_information(0.7, 0.6)


@pytest.mark.parametrize(
    ("name", "key", "sign", "fixed", "low", "high"),
    [
        ("gamma-exponential", "rate_shape", -1, {}, 1e-3, 1e3),
        ("gamma-gamma", "rate_shape", -1, {"k": 2.0}, 1e-3, 1e3),
        ("gamma-gamma", "k", 1, {"rate_shape": 2.0}, 1e-3, 1e3),
        ("gamma-additive", "a", 1, {"b": 2.0}, 1e-3, 1e3),
        ("gamma-additive", "b", -1, {"a": 2.0}, 1e-3, 1e3),
        ("gamma-kibble", "r", 1, {"k": 0.8}, 1e-3, 0.99),
        ("exponential-ordered", "mean", -1, {}, 1e-3, 1e3),
        ("exponential-noise", "snr", 1, {}, 1e-3, 1e3),
        ("exponential-gumbel", "delta", 1, {}, 1e-3, 1.0),
    ],
)
def test_information_is_monotone(name, key, sign, fixed, low, high):
    grid = np.geomspace(low, high, 60).tolist()
    values = [value(name, **{key: min(each, high)}, **fixed) for each in grid]
    assert (sign * np.diff(values) > 0.0).all()


@pytest.mark.parametrize("name", ["gamma-exponential", "gamma-gamma"])
def test_one_more_waiting_time_adds_information(name):
    theta = {"rate_shape": 0.9} | ({"k": 0.4} if name == "gamma-gamma" else {})
    values = [value(name, (1, n), **theta) for n in (1, 2, 5, 40, 1000)]
    assert (np.diff(values) > 0.0).all()


@pytest.mark.parametrize(
    ("name", "key", "end", "fixed"),
    [
        ("gamma-exponential", "rate_shape", 0.0, {}),
        ("gamma-gamma", "rate_shape", 0.0, {"k": 2.0}),
        ("gamma-additive", "b", 0.0, {"a": 2.0}),
        ("exponential-ordered", "mean", 0.0, {}),
        ("gamma-kibble", "r", 1.0, {"k": 2.0}),
    ],
)
def test_an_infinite_information_is_refused_with_the_reason(name, key, end, fixed):
    reason = FAMILIES[name].parameters[key].reason
    assert reason.endswith("I(X;Y) is infinite")
    message = f"^{name}: {key} must lie in .*, got {end}; {re.escape(reason)}$"
    with pytest.raises(ValueError, match=message):
        member_of(name, **{key: end}, **fixed)


def statistics(n):
    """Statistics of samples with the law that the model gives them, of every side and of both."""
    rng = np.random.default_rng(8)
    x, y = member_of("gamma-gamma", (1, 2), k=2.5, rate_shape=1.3).sample(n, rng)
    yield x[:, 0], stats.gamma(1.3)
    yield y[:, 1], stats.betaprime(2.5, 1.3)
    yield (x * y)[:, 0], stats.gamma(2.5)
    x, y = member_of("gamma-exponential", (1, 2), rate_shape=1.3).sample(n, rng)
    yield x[:, 0], stats.gamma(1.3)
    yield y[:, 1], stats.lomax(1.3)
    yield (x * y)[:, 0], stats.expon()
    x, y = member_of("gamma-additive", a=0.7, b=1.8).sample(n, rng)
    yield x[:, 0], stats.gamma(0.7)
    yield y[:, 0], stats.gamma(2.5)
    yield (x / y)[:, 0], stats.beta(0.7, 1.8)
    x, y = member_of("exponential-ordered", mean=2.0).sample(n, rng)
    yield x[:, 0], stats.expon(scale=0.5)
    yield (y - x)[:, 0], stats.expon(scale=2.0)
    x, y = member_of("gamma-kibble", k=0.7, r=0.6).sample(n, rng)
    yield x[:, 0], stats.gamma(0.7)
    yield y[:, 0], stats.gamma(0.7)
    x, y = member_of("exponential-gumbel", delta=0.8).sample(n, rng)
    yield x[:, 0], stats.expon()
    yield y[:, 0], stats.expon()
    x, y = member_of("exponential-noise", snr=3.0).sample(n, rng)
    yield x[x > 0.0], stats.expon(scale=4.0)
    yield (y - x)[:, 0], stats.expon()
    yield y[:, 0], stats.expon(scale=4.0)


def test_samples_have_the_margins_of_the_models():
    for sample, law in statistics(200_000):
        assert stats.kstest(sample, law.cdf).pvalue > 1e-4


def test_the_noise_channel_is_often_silent():
    x, _ = member_of("exponential-noise", snr=3.0).sample(20_000, np.random.default_rng(9))
    assert stats.binomtest(int((x == 0.0).sum()), 20_000, 0.25).pvalue > 1e-4


@pytest.mark.parametrize("r", [0.3, 0.9])
def test_r_is_the_correlation_of_kibbles_variables(r):
    x, y = member_of("gamma-kibble", k=1.5, r=r).sample(40_000, np.random.default_rng(10))
    products = ((x - 1.5) * (y - 1.5) / 1.5).ravel()
    assert abs(products.mean() - r) < 5.0 * products.std() / 200.0


def test_gumbels_variables_survive_together_as_the_model_says():
    x, y = member_of("exponential-gumbel", delta=0.8).sample(20_000, np.random.default_rng(11))
    for a, b in ((0.5, 0.5), (0.2, 1.5), (1.5, 0.2)):
        count = int(((x > a) & (y > b)).sum())
        chance = math.exp(-a - b - 0.8 * a * b)
        assert stats.binomtest(count, 20_000, chance).pvalue > 1e-4


@pytest.mark.parametrize(
    ("name", "theta"),
    [("gamma-exponential", {"rate_shape": 1e-4}), ("gamma-gamma", {"k": 2.0, "rate_shape": 1e-4})],
)
def test_a_sample_beyond_double_precision_is_refused(name, theta):
    with pytest.raises(FloatingPointError, match="holds a NaN or an infinity"):
        member_of(name, **theta).sample(100, np.random.default_rng(12))


@every_example
def test_points_on_the_edge_of_single_precision_stay_finite(name, dims, theta):
    x = np.array([[0.0], [1e-30], [1.0], [1.0], [30.0]])
    y = np.repeat([[0.0], [1e-30], [1.0], [1.0 + 2.0**-23], [30.0]], dims[1], axis=1)
    member = member_of(name, dims, **theta)
    assert np.isfinite(member.pointwise_mutual_information(x, y)).all()
