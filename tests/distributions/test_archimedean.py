"""Archimedean copulas: densities, samplers and informations against derivatives and mpmath."""

import math

import mpmath as mp
import numpy as np
import pytest
from scipy import stats

from mistdata.distributions import integrate
from mistdata.distributions.families import _archimedean_pairs as pairs
from mistdata.distributions.families._archimedean import archimedean_information
from mistdata.distributions.families.archimedean import FAMILIES, CopulaClayton, CopulaFrank
from mistdata.distributions.marginals import MARGINALS
from tests.distributions.copulas_by_hand import (
    check_conditional_quantile,
    check_density,
    check_sampler,
    label,
    margins,
    members,
)

CASES = members("clayton", "frank", "gumbel", "joe", "amh")
every_case = pytest.mark.parametrize("case", CASES, ids=map(label, CASES))
INVERTED = members("clayton", "frank", "gumbel", "amh")  # Joe's copula is drawn by its frailty
SMOOTH = [case for case in CASES if not (case[1].theta < 0 and isinstance(case[1], pairs.Clayton))]
NORMAL = {"marginal_x": "normal", "marginal_y": "normal"}


@every_case
def test_the_density_is_the_mixed_derivative(case):
    check_density(*case)


@pytest.mark.parametrize("case", INVERTED, ids=map(label, INVERTED))
def test_the_conditional_quantile_inverts_the_partial_derivative(case):
    check_conditional_quantile(*case)


@every_case
def test_the_sampler_follows_the_distribution_function(case):
    check_sampler(*case)


@pytest.mark.parametrize("case", SMOOTH, ids=map(label, SMOOTH))
def test_quadrature_over_the_square_gives_the_same_information(case):
    pair = case[1]
    by_quadrature, stated = integrate.copula(pair.log_density), pair.information()
    assert abs(by_quadrature.value - stated.value) < 1e-10
    # the tables of deviations are good to a millionth
    assert abs(by_quadrature.pmi_std - stated.pmi_std) < 1e-6


def mp_frank(t):
    debye = mp.quad(lambda x: x / mp.expm1(x) if x else mp.mpf(1), [0, t / 2, t]) / t
    return mp.log(t / -mp.expm1(-t)) + 2 * debye - 2


def mp_gumbel(a):
    return mp.euler + mp.log(a) - a / (1 + a) + mp.exp(a) * mp.e1(a) / (1 + a)


@pytest.mark.parametrize(
    ("code", "exact", "points"),
    [
        (
            pairs.clayton_information,
            lambda t: mp.log1p(t) - t / (1 + t),
            (-0.5, -1e-3, 1e-8, 0.049, 0.051, 3.0, 1e3),
        ),
        (pairs.frank_information, mp_frank, (1e-6, 0.3, 0.999, 1.0, 7.0, 80.0, 1e3)),
        (pairs.gumbel_information, mp_gumbel, (1e-9, 1e-3, 0.999, 1.0, 20.0, 49.9, 50.1, 999.0)),
    ],
)
def test_closed_forms_agree_with_thirty_digits(code, exact, points):
    for point in points:
        with mp.workdps(60):
            expected = float(exact(mp.mpf(point)))
        assert abs(code(point) - expected) < 1e-14 + 1e-12 * expected
        if point < 1.0:
            assert abs(code(point) / expected - 1.0) < 1e-9  # relative, near independence


def mp_archimedean(phi, first, second):
    """Integrate over s = 1 - w, given φ, -φ' and φ'' as functions of s."""

    def inside(s):
        slope, curvature = first(s), second(s)
        k = phi(s) * curvature / slope**2
        return k * (mp.log(curvature) - 3 * mp.log(slope)) + 2 * mp.log(slope)

    return mp.quad(inside, [0, 0.01, 0.5, 0.99, 1])


@pytest.mark.parametrize("theta", [1.2, 4.0, 20.0])
def test_joe_agrees_with_the_integral_in_mpmath(theta):
    with mp.workdps(40):
        t = mp.mpf(theta)
        expected = mp_archimedean(
            lambda s: -mp.log1p(-(s**t)),
            lambda s: t * s ** (t - 1) / (1 - s**t),
            lambda s: t * s ** (t - 2) * (t - 1 + s**t) / (1 - s**t) ** 2,
        )
    mi = pairs.Joe(theta).information()
    assert abs(mi.value - float(expected)) < mi.error


@pytest.mark.parametrize("theta", [-1.0, -0.2, 0.3, 0.999])
def test_amh_agrees_with_the_integral_in_mpmath(theta):
    with mp.workdps(30):
        t = mp.mpf(theta)
        expected = mp_archimedean(
            lambda s: mp.log((1 - t * s) / (1 - s)),
            lambda s: (1 - t) / ((1 - s) * (1 - t * s)),
            lambda s: (1 - t) * (1 + t - 2 * t * s) / ((1 - s) * (1 - t * s)) ** 2,
        )
    mi = pairs.AliMikhailHaq(theta).information()
    assert abs(mi.value - float(expected)) < mi.error


@pytest.mark.parametrize("name", ["CLAYTON", "FRANK", "GUMBEL", "JOE", "AMH", "AMH_BELOW"])
def test_tables_hold_what_they_claim(name):
    table = getattr(pairs, name)
    for t in np.linspace(table._low, table._high, 13):
        direct, tabulated = table._function(float(t)), table(float(t))
        assert abs(tabulated.value - direct.value) <= tabulated.error
        assert abs(tabulated.pmi_std - direct.pmi_std) < 1e-6


@pytest.mark.parametrize("dims", [(1, 1), (2, 3), (5, 1), (8, 8), (32, 32)])
@pytest.mark.parametrize("theta", [1e-4, 0.3, 2.0, 30.0])
def test_clayton_blocks_agree_with_the_finite_product(dims, theta):
    m, n = dims
    with mp.workdps(40):
        t = mp.mpf(theta)

        def log_product(k):
            return sum(mp.log1p(j * t) for j in range(k))

        def harmonic(k):
            return sum(t / (1 + j * t) for j in range(k))

        expected = log_product(m + n) - log_product(m) - log_product(n)
        expected -= (m + n + 1 / t) * harmonic(m + n)
        expected += (m + 1 / t) * harmonic(m) + (n + 1 / t) * harmonic(n)
    found = CopulaClayton(m, n, strength=theta, **NORMAL).mutual_information()
    assert abs(found.value - float(expected)) < 1e-12 * (1 + abs(found.value))


@pytest.mark.parametrize("theta", [0.3, 1.5, 10.0])
def test_clayton_blocks_follow_the_distribution_function(theta):
    n = 300_000
    member = CopulaClayton(3, 2, strength=theta, marginal_x="uniform", marginal_y="exponential")
    x, y = member.sample(n, np.random.default_rng(0))
    columns = np.concatenate((x, -np.expm1(-y)), axis=1).T
    for column in columns:
        assert stats.kstest(column, "uniform").pvalue > 1e-4
    for subset in ([0, 1], [0, 4], [0, 2, 3], [0, 1, 2, 3, 4]):
        for level in (0.05, 0.3, 0.7, 0.95):
            exact = (len(subset) * (level**-theta - 1.0) + 1.0) ** (-1.0 / theta)
            found = np.mean((columns[subset] <= level).all(axis=0))
            assert abs(found - exact) < 5.0 * math.sqrt(exact * (1.0 - exact) / n)


def test_clayton_blocks_of_one_are_the_pair():
    pair, grid = pairs.Clayton(0.7), np.linspace(0.01, 0.99, 25)
    u, v = margins(np.repeat(grid, 25), np.tile(grid, 25))
    member = CopulaClayton(1, 1, strength=0.7, **NORMAL)
    x, y = (MARGINALS["normal"].quantile(side.u)[:, None] for side in (u, v))
    found = member.pointwise_mutual_information(x, y)
    np.testing.assert_allclose(found, pair.log_density(u, v), atol=1e-11)


def test_a_negative_pair_of_clayton_at_minus_one_half_has_one_minus_ln_two():
    member = CopulaClayton(1, 1, strength=-0.5, **NORMAL)
    assert abs(member.mutual_information().value - (1.0 - math.log(2.0))) < 1e-15


@pytest.mark.parametrize(
    ("family", "weak", "leading"),
    [
        (pairs.Clayton, 1e-4, lambda t: t * t / 2.0),
        (pairs.Frank, 1e-3, lambda t: t * t / 72.0),
        (pairs.AliMikhailHaq, 1e-3, lambda t: t * t / 18.0),
        (pairs.AliMikhailHaq, -1e-3, lambda t: t * t / 18.0),
    ],
)
def test_weak_dependence_follows_its_leading_term(family, weak, leading):
    found = family(weak).information().value
    assert abs(found / leading(weak) - 1.0) < 2e-3


def test_members_meet_at_independence_and_at_the_logistic_law():
    for pair in (pairs.Clayton(0.0), pairs.Frank(0.0), pairs.Gumbel(1.0), pairs.Joe(1.0)):
        assert pair.information().value == 0.0
    assert pairs.AliMikhailHaq(0.0).information().value < 1e-12
    logistic = pairs.Clayton(1.0).information()
    assert pairs.AliMikhailHaq(1.0).information() == logistic
    assert abs(logistic.value - (math.log(2.0) - 0.5)) < 1e-15
    near = pairs.AliMikhailHaq(1.0 - 1e-7).information()
    assert abs(near.value - logistic.value) < 1e-5


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_information_grows_with_the_strength(family):
    high = family.parameters["strength"].domain(1, 1)[1]
    low = 1.0 if family.name in {"copula-gumbel", "copula-joe"} else 0.0
    values = [
        family(1, 1, strength=low + (high - low) * k / 40, **NORMAL).mutual_information().value
        for k in range(41)
    ]
    assert (np.diff(values) > 0.0).all()


def test_frank_is_even_and_negative_strength_means_negative_dependence():
    up, down = (CopulaFrank(1, 1, strength=each, **NORMAL) for each in (4.0, -4.0))
    assert up.mutual_information() == down.mutual_information()
    x, y = down.sample(4000, np.random.default_rng(2))
    # Kendall's rank correlation is 1 - 4(1 - D_1(4))/4 = 0.3881 in size
    assert abs(stats.kendalltau(x[:, 0], y[:, 0]).statistic + 0.3881) < 0.05


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_marginals_change_neither_information_nor_its_density(family):
    strength = family.parameters["strength"].published_prior(1, 1).support()[1]
    seen = []
    for name in MARGINALS:
        member = family(1, 1, strength=0.5 * strength + 0.5, marginal_x=name, marginal_y="normal")
        pointwise = member.pointwise_mutual_information(
            *member.sample(500, np.random.default_rng(3))
        )
        seen.append((member.mutual_information(), pointwise))
    for mi, pointwise in seen[1:]:
        assert mi == seen[0][0]
        np.testing.assert_allclose(pointwise, seen[0][1], atol=1e-6)


@pytest.mark.parametrize(("dims", "theta"), [((1, 1), -0.6), ((2, 1), -0.1), ((1, 1), 1001.0)])
def test_clayton_refuses_what_single_precision_cannot_hold(dims, theta):
    with pytest.raises(ValueError, match=r"^copula-clayton: strength must lie in .*blurs"):
        CopulaClayton(*dims, strength=theta, **NORMAL)


def test_an_unresolved_generator_is_not_believed():
    class Wrong(pairs.Gumbel):
        def log_curvature(self, log_x):
            return super().log_curvature(log_x) + 1e-3

    with pytest.raises(integrate.NotConverged, match="mass"):
        archimedean_information(Wrong(2.0))
