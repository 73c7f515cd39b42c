"""Noise on groups: what the common tests of samples against densities cannot see."""

import itertools
import math
import re

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import xlogy

from mistdata.distributions import FAMILIES
from mistdata.distributions.families._coordinatewise import least_information, most_information

NORMAL = FAMILIES["torus-normal"]
WIDTH = FAMILIES["torus-uniform"]
SPHERE = FAMILIES["sphere-vmf"]
RANKING = FAMILIES["ranking-mallows"]
BITS = FAMILIES["bits-bsc"]
MODULAR = FAMILIES["modular-integers"]
few = settings(max_examples=15)
TORI = [(NORMAL, {"sigma": 0.15}), (WIDTH, {"width": 0.3})]


def value(member):
    return member.mutual_information().value


def wrapped_normal_by_mpmath(sigma):
    """∫ f ln f and ∫ f ln²f with Jacobi's theta function for f."""
    with mpmath.workdps(25):
        q = mpmath.exp(-2 * (mpmath.pi * mpmath.mpf(sigma)) ** 2)
        count = 512
        mean = square = mpmath.mpf(0)
        for k in range(count):
            f = mpmath.jtheta(3, mpmath.pi * k / count, q)
            mean += f * mpmath.log(f) / count
            square += f * mpmath.log(f) ** 2 / count
        return float(mean), float(mpmath.sqrt(square - mean**2))


@pytest.mark.parametrize("sigma", [0.0625, 0.0626, 0.1, 0.29, 0.3, 0.301, 0.6, 2.0])
def test_torus_normal_equals_the_entropy_by_theta_functions(sigma):
    found = NORMAL(1, 1, sigma=sigma).mutual_information()
    expected, deviation = wrapped_normal_by_mpmath(sigma)
    assert abs(found.value - expected) <= found.error < 3e-12
    assert found.pmi_std == pytest.approx(deviation, abs=1e-9)


def test_narrow_noise_does_not_see_the_circle():
    for sigma in (1e-6, 0.01):
        expected = -float(stats.norm(scale=sigma).entropy())
        assert value(NORMAL(1, 1, sigma=sigma)) == pytest.approx(expected, rel=1e-12)


def test_wide_noise_leaves_the_first_harmonic():
    sigma = 0.6
    q = math.exp(-2.0 * (math.pi * sigma) ** 2)
    assert value(NORMAL(1, 1, sigma=sigma)) == pytest.approx(q * q, rel=1e-4)


@pytest.mark.parametrize(("family", "theta"), TORI)
def test_the_torus_has_uniform_margins_and_the_models_noise(family, theta):
    x, y = family(2, 2, **theta).sample(20_000, np.random.default_rng(1))
    for column in (*x.T, *y.T):
        assert stats.kstest(column, "uniform").pvalue > 1e-4
    noise = (y - x + 0.5) % 1.0 - 0.5
    if family is WIDTH:
        law = stats.uniform(-0.15, 0.3)
        assert np.abs(noise).max() <= 0.15 + 1e-7
    else:
        law = stats.norm(scale=0.15)  # 1e-3 of it is wrapped
    assert stats.kstest(noise[:, 1], law.cdf).pvalue > 1e-4
    assert abs(np.corrcoef(noise.T)[0, 1]) < 0.03


@pytest.mark.parametrize(("family", "theta"), TORI)
def test_the_pointwise_information_is_that_of_the_circle(family, theta):
    member = family(1, 1, **theta)
    x = np.full((5, 1), 0.95)
    y = np.array([[0.95], [0.05], [0.0], [1.0], [0.85]])
    found = member.pointwise_mutual_information(x, y)
    assert found[2] == pytest.approx(found[3])  # 0 and 1 are the same point
    assert found[1] == pytest.approx(found[4])  # both at the distance 0.1
    assert member.pointwise_mutual_information(x[:1], np.array([[0.45]]))[0] < min(found)


def test_single_precision_keeps_the_torus_below_one():
    for family, theta in TORI:
        for edge in (1.0 - 2.0**-53, 1.0 - 2.0**-25, 0.0):
            for side in family(1, 1, **theta).sample(3, Constant(edge, -1e-17)):
                assert (side.astype(np.float32) < 1.0).all() and (side >= 0.0).all()


class Constant(np.random.Generator):
    """A source of randomness that returns the same numbers always."""

    def __new__(cls, uniform, normal):
        """Set aside the bits that numpy asks for."""
        return super().__new__(cls)

    def __init__(self, uniform, normal):
        super().__init__(np.random.Philox(0))
        self.uniform_value, self.normal_value = uniform, normal

    def random(self, size):
        """Return the uniform number."""
        return np.full(size, self.uniform_value)

    def standard_normal(self, size):
        """Return the normal number."""
        return np.full(size, self.normal_value)


def sphere_by_mpmath(d, kappa):
    with mpmath.workdps(40):
        k, order = mpmath.mpf(kappa), mpmath.mpf(d) / 2 - 1
        mean = mpmath.besseli(order + 1, k) / mpmath.besseli(order, k)
        log_surface = mpmath.log(2) + (order + 1) * mpmath.log(mpmath.pi)
        log_surface -= mpmath.loggamma(order + 1)
        log_constant = order * mpmath.log(k) - (order + 1) * mpmath.log(2 * mpmath.pi)
        log_constant -= mpmath.log(mpmath.besseli(order, k))
        variance = 1 - mean**2 - (d - 1) * mean / k
        return float(log_surface + log_constant + k * mean), float(k * mpmath.sqrt(variance))


@pytest.mark.parametrize("d", [2, 3, 8, 64, 300])
@pytest.mark.parametrize("kappa", [1e-4, 0.3, 5.0, 60.0, 700.0, 2000.0])
def test_the_sphere_equals_the_bessel_formula_with_40_digits(d, kappa):
    found = SPHERE(d, d, kappa=kappa).mutual_information()
    expected, deviation = sphere_by_mpmath(d, kappa)
    assert abs(found.value - expected) <= found.error
    assert found.pmi_std == pytest.approx(deviation, rel=1e-11)


def test_the_two_sphere_has_an_elementary_information():
    # d = 3: C = κ/(4π sinh κ), A = coth κ - 1/κ
    for kappa in (0.5, 4.0, 50.0):
        expected = math.log(kappa / math.sinh(kappa)) + kappa / math.tanh(kappa) - 1.0
        assert value(SPHERE(3, 3, kappa=kappa)) == pytest.approx(expected, abs=1e-12)


def test_narrow_noise_on_the_circle_is_wrapped_normal():
    kappa = 1500.0
    torus = value(NORMAL(1, 1, sigma=1.0 / math.sqrt(kappa) / (2.0 * math.pi)))
    assert value(SPHERE(2, 2, kappa=kappa)) == pytest.approx(torus, abs=1.0 / kappa)


def cosine_law(d, kappa):
    """Distribution function of XᵀY, from its density ∝ e^(κw) (1-w²)^((d-3)/2) over the angle."""
    angle = np.linspace(0.0, math.pi, 200_001)
    with np.errstate(divide="ignore"):
        log_density = kappa * (np.cos(angle) - 1.0) + xlogy(d - 2, np.sin(angle))
    density = np.exp(log_density - log_density.max())
    cdf = np.concatenate(([0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))))
    return lambda w: 1.0 - np.interp(np.arccos(w), angle, cdf / cdf[-1])


@pytest.mark.parametrize(
    ("d", "kappa"), [(2, 1e-3), (2, 3.0), (3, 0.2), (3, 200.0), (7, 4.0), (64, 60.0), (64, 2000.0)]
)
def test_the_cosine_has_its_law_and_both_margins_are_uniform(d, kappa):
    x, y = SPHERE(d, d, kappa=kappa).sample(20_000, np.random.default_rng(2))
    for side in (x, y):
        np.testing.assert_allclose((side**2).sum(axis=1), 1.0, rtol=1e-13)
        # a coordinate of a uniform unit vector is 2 Beta((d-1)/2, (d-1)/2) - 1
        half = stats.beta(0.5 * (d - 1), 0.5 * (d - 1))
        assert stats.kstest(0.5 + 0.5 * side[:, -1], half.cdf).pvalue > 1e-4
        assert stats.kstest(0.5 + 0.5 * side[:, 0], half.cdf).pvalue > 1e-4
    cosine = np.clip((x * y).sum(axis=1), -1.0, 1.0)
    assert stats.kstest(cosine, cosine_law(d, kappa)).pvalue > 1e-4


def test_the_direction_about_x_is_uniform():
    x, y = SPHERE(3, 3, kappa=5.0).sample(20_000, np.random.default_rng(3))
    across = y - (x * y).sum(axis=1)[:, None] * x
    pole = np.cross(x, [0.0, 0.0, 1.0])
    third = np.cross(x, pole)
    angle = np.arctan2((across * third).sum(axis=1), (across * pole).sum(axis=1))
    assert stats.kstest(angle / (2.0 * math.pi) + 0.5, "uniform").pvalue > 1e-4


def kendall(first, second):
    pairs = itertools.combinations(range(len(first)), 2)
    return sum((first[i] < first[j]) != (second[i] < second[j]) for i, j in pairs)


def mallows_by_brute_force(d, theta):
    """Joint law over all pairs of rankings: information and deviation."""
    rankings = list(itertools.permutations(range(d)))
    distance = np.array([kendall(rankings[0], each) for each in rankings])
    p = np.exp(-theta * distance)
    p /= p.sum()
    pointwise = np.log(p * len(rankings))
    mean = p @ pointwise
    return mean, math.sqrt(p @ (pointwise - mean) ** 2)


@pytest.mark.parametrize("d", [2, 3, 5, 7])
@pytest.mark.parametrize("theta", [0.0, 1e-3, 0.4, 2.0, 20.0])
def test_mallows_equals_the_sum_over_all_rankings(d, theta):
    found = RANKING(d, d, concentration=theta).mutual_information()
    expected, deviation = mallows_by_brute_force(d, theta)
    assert abs(found.value - expected) <= found.error
    assert found.pmi_std == pytest.approx(deviation, abs=1e-7)


def test_every_ranking_comes_up_as_often_as_mallows_law_says():
    d, theta, n = 4, 0.5, 40_000
    x, y = RANKING(d, d, concentration=theta).sample(n, np.random.default_rng(4))
    rankings = list(itertools.permutations(range(1, d + 1)))
    index = {each: i for i, each in enumerate(rankings)}
    for side in (x, y):
        counts = np.bincount([index[tuple(map(int, row))] for row in side], minlength=24)
        assert stats.chisquare(counts).pvalue > 1e-4
    # relative to x, the noise: y's ranks in the order of x
    noise = np.take_along_axis(y, np.argsort(x, axis=1), axis=1)
    counts = np.bincount([index[tuple(map(int, row))] for row in noise], minlength=24)
    p = np.exp([-theta * kendall(rankings[0], each) for each in rankings])
    assert stats.chisquare(counts, n * p / p.sum()).pvalue > 1e-4


@pytest.mark.parametrize("theta", [0.0, 1e-9, 0.03])
def test_long_rankings_have_their_mean_distance(theta):
    d, n = 40, 2000
    member = RANKING(d, d, concentration=theta)
    x, y = member.sample(n, np.random.default_rng(5))
    expected = np.arange(1.0, d + 1.0)
    assert (np.sort(x, axis=1) == expected).all() and (np.sort(y, axis=1) == expected).all()
    distance = np.array([kendall(*pair) for pair in zip(x[:200], y[:200], strict=True)])
    z = np.exp(-theta * np.arange(d))
    mean = sum(z[:i] @ np.arange(i) / z[:i].sum() for i in range(1, d + 1))
    assert abs(distance.mean() - mean) < 5.0 * distance.std() / math.sqrt(200)
    pointwise = member.pointwise_mutual_information(x[:200], y[:200])
    slope = np.polyfit(distance, pointwise, 1)[0] if theta else 0.0
    assert slope == pytest.approx(-theta, rel=1e-3)


def test_concentrated_rankings_are_copies():
    x, y = RANKING(5, 5, concentration=50.0).sample(100, np.random.default_rng(6))
    np.testing.assert_array_equal(x, y)
    assert value(RANKING(5, 5, concentration=50.0)) == pytest.approx(math.log(120.0))


@few
@given(st.floats(0.0, 1.0))
def test_bits_equal_the_two_by_two_table(p):
    table = np.array([[1.0 - p, p], [p, 1.0 - p]]) / 2.0
    expected = (table * np.log(np.where(table > 0.0, 4.0 * table, 1.0))).sum()
    assert value(BITS(1, 1, p=p)) == pytest.approx(expected, abs=1e-13)
    assert value(BITS(3, 3, p=1.0 - p)) == pytest.approx(3.0 * expected, abs=1e-12)


def test_bits_have_fair_margins_and_the_models_errors():
    n = 20_000
    x, y = BITS(3, 3, p=0.2).sample(n, np.random.default_rng(7))
    assert set(np.unique(x)) == set(np.unique(y)) == {0.0, 1.0}
    for mean, p in zip((x.mean(0), y.mean(0), (x != y).mean(0)), (0.5, 0.5, 0.2), strict=True):
        assert (np.abs(mean - p) < 5.0 * math.sqrt(p * (1.0 - p) / n)).all()


def test_one_bit_is_a_ranking_of_two_items_and_an_integer_modulo_two():
    theta = 0.9
    p = math.exp(-theta) / (1.0 + math.exp(-theta))
    bit = BITS(1, 1, p=p).mutual_information()
    ranking = RANKING(2, 2, concentration=theta).mutual_information()
    assert bit.value == pytest.approx(ranking.value, abs=1e-14)
    assert bit.pmi_std == pytest.approx(ranking.pmi_std, abs=1e-14)


@pytest.mark.parametrize(("modulus", "alpha"), [(2, 0.5), (7, 0.05), (30, 2.0), (500, 1e5)])
def test_modular_integers_equal_the_joint_table(modulus, alpha):
    member = MODULAR(1, 1, modulus=modulus, alpha=alpha, structure=11)
    # the table is read off the pointwise information: p(x,y) = exp(pointwise)/m²
    x, y = (side.reshape(-1, 1).astype(float) for side in np.indices((modulus, modulus)))
    table = np.exp(member.pointwise_mutual_information(x, y)).reshape(modulus, modulus)
    table /= modulus**2
    for axis in (0, 1):
        np.testing.assert_allclose(table.sum(axis=axis), 1.0 / modulus, rtol=1e-12)
    used = table > 0.0
    expected = (table[used] * np.log(table[used] * modulus**2)).sum()
    assert value(member) == pytest.approx(expected, abs=1e-12)


def test_modular_integers_have_uniform_margins_and_the_drawn_noise():
    n, modulus = 40_000, 7
    member = MODULAR(2, 2, modulus=modulus, alpha=2.0, structure=3)
    x, y = (side.astype(int) for side in member.sample(n, np.random.default_rng(8)))
    for column in (*x.T, *y.T):
        assert stats.chisquare(np.bincount(column, minlength=modulus)).pvalue > 1e-4
    shift = np.arange(modulus)[:, None]
    one = MODULAR(1, 1, modulus=modulus, alpha=2.0, structure=3)
    law = np.exp(one.pointwise_mutual_information(0.0 * shift, shift.astype(float))) / modulus
    for i in range(2):
        counts = np.bincount((y - x)[:, i] % modulus, minlength=modulus)
        assert stats.chisquare(counts, n * law / law.sum()).pvalue > 1e-4


def test_the_structure_decides_the_noise_and_evenness_the_information():
    values = [value(MODULAR(1, 1, modulus=20, alpha=1.0, structure=seed)) for seed in (1, 1, 2)]
    assert values[0] == values[1] != values[2]
    even = [value(MODULAR(1, 1, modulus=20, alpha=100.0, structure=s)) for s in range(200)]
    assert np.mean(even) == pytest.approx(19 / 20 / 200, rel=0.1)  # (m-1)/(2mα)


@pytest.mark.parametrize(
    ("family", "theta"),
    [*TORI, (BITS, {"p": 0.2}), (MODULAR, {"modulus": 5, "alpha": 1.0, "structure": 2})],
)
def test_coordinates_add_up(family, theta):
    one, seven = (family(d, d, **theta).mutual_information() for d in (1, 7))
    assert seven.value == pytest.approx(7.0 * one.value, rel=1e-14)
    assert seven.pmi_std == pytest.approx(math.sqrt(7.0) * one.pmi_std, rel=1e-14)


@pytest.mark.parametrize(
    ("family", "key", "grid", "sign"),
    [
        (NORMAL, "sigma", np.geomspace(0.01, 0.8, 60), -1),
        (WIDTH, "width", np.geomspace(0.01, 1.0, 20), -1),
        (SPHERE, "kappa", np.geomspace(0.01, 2000.0, 60), 1),
        (RANKING, "concentration", np.geomspace(0.01, 10.0, 40), 1),
        (BITS, "p", np.linspace(0.0, 0.5, 20), -1),
    ],
)
def test_more_noise_leaves_less_information(family, key, grid, sign):
    d = family.shape.x[0]
    values = [value(family(d, d, **{key: float(each)})) for each in grid]
    assert (sign * np.diff(values) > 0.0).all()


@pytest.mark.parametrize("dim", [2, 8, 64])
@pytest.mark.parametrize("family", [NORMAL, WIDTH, SPHERE, RANKING, BITS])
def test_the_prior_spans_the_information_that_it_aims_at(family, dim):
    key = next(iter(family.parameters))
    ends = family.parameters[key].published_prior(dim, dim).support()
    low, high = sorted(value(family(dim, dim, **{key: end})) for end in ends)
    assert 0.3 * dim * least_information(dim) < low < 2.0 * dim * least_information(dim)
    most = min(dim * most_information(dim), math.lgamma(dim + 1.0) if family is RANKING else 99.0)
    assert high < 1.8 * most
    assert high > 0.25 * most or (family is BITS and dim == 2)


@pytest.mark.parametrize(
    ("family", "theta", "key"),
    [
        (NORMAL, {"sigma": 0.0}, "sigma"),
        (WIDTH, {"width": 0.0}, "width"),
        (SPHERE, {"kappa": 0.0}, "kappa"),
        (MODULAR, {"modulus": 4, "alpha": 0.0, "structure": 0}, "alpha"),
    ],
)
def test_singular_members_are_refused(family, theta, key):
    with pytest.raises(ValueError, match=re.escape(family.parameters[key].reason)):
        family(2, 2, **theta)


def test_noise_without_weights_is_refused():
    with pytest.raises(ValueError, match="alpha=1e-05 is too small, all weights vanish"):
        MODULAR(1, 1, modulus=2, alpha=1e-5, structure=0)


@pytest.mark.parametrize("family", [SPHERE, RANKING])
def test_one_column_is_no_group(family):
    theta = family.draw(2, 2, np.random.default_rng(0)).theta
    with pytest.raises(ValueError, match="unsupported dimensions dim_x=1, dim_y=1"):
        family(1, 1, **theta)
