"""Gamma ratios and Dirichlet blocks against their densities, and against one another.

Statistical tests have fixed seeds. The 41 Kolmogorov-Smirnov tests have a false-alarm rate of
1e-4 each.
"""

import math
import re

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import gammaln

from mistdata.distributions import FAMILIES
from tests.distributions.densities_by_hand import axis, mesh, moments

# unlike shapes on the two sides, so that an exchange of theirs shows
THETA = {
    "inverted-dirichlet": {"alpha": 0.8, "beta": 1.7, "c": 2.3},
    "multivariate-f": {"nu_x": 1.6, "nu_y": 3.4, "nu_0": 4.6},
    "beta-olkin-liu": {"alpha": 0.8, "beta": 1.7, "c": 2.3},
    "lomax": {"a": 1.4},
    "pareto": {"a": 1.4},
    "burr": {"a": 1.4, "k": 2.5},
    "logistic-gumbel": {},
    "dirichlet": {"alpha": 0.8, "beta": 1.7, "c": 2.3},
}
every_family = pytest.mark.parametrize("name", sorted(THETA))
every_dimension = pytest.mark.parametrize("dims", [(1, 1), (2, 1), (1, 2)])
OTHER_SIDE = {"alpha": "beta", "beta": "alpha", "nu_x": "nu_y", "nu_y": "nu_x"}
log_shapes = st.floats(-6.0, 7.0)
some = settings(max_examples=60)


def member_of(name, dims=(1, 1), **theta):
    return FAMILIES[name](*dims, **(THETA[name] | theta))


def swapped(name):
    """The parameters of a family with the sides exchanged."""
    return {OTHER_SIDE.get(key, key): each for key, each in THETA[name].items()}


def value(name, dims=(1, 1), **theta):
    return member_of(name, dims, **theta).mutual_information().value


# log-densities of the columns of z, as the literature writes them; w are the shapes of the
# columns, c is the shape of what they have in common


def inverted_dirichlet(z, w, c):
    total = c + w.sum()
    constant = gammaln(total) - gammaln(c) - gammaln(w).sum()
    return constant + ((w - 1.0) * np.log(z)).sum(axis=1) - total * np.log1p(z.sum(axis=1))


def multivariate_f(z, w, c):
    constant = gammaln((c + w.sum()) / 2.0) - gammaln(c / 2.0) - gammaln(w / 2.0).sum()
    constant += (w * np.log(w)).sum() / 2.0 + c * math.log(c) / 2.0
    powers = ((w / 2.0 - 1.0) * np.log(z)).sum(axis=1)
    return constant + powers - (c + w.sum()) / 2.0 * np.log(c + z @ w)


def beta_olkin_liu(z, w, c):
    constant = gammaln(c + w.sum()) - gammaln(c) - gammaln(w).sum()
    powers = ((w - 1.0) * np.log(z) - (w + 1.0) * np.log1p(-z)).sum(axis=1)
    return constant + powers - (c + w.sum()) * np.log1p((z / (1.0 - z)).sum(axis=1))


def lomax(z, w, c):
    k = len(w)
    return np.log(c + np.arange(k)).sum() - (c + k) * np.log1p(z.sum(axis=1))


def pareto(z, w, c):
    k = len(w)
    return np.log(c + np.arange(k)).sum() - (c + k) * np.log(z.sum(axis=1) - k + 1.0)


def burr(z, w, c):
    k, power = len(w), THETA["burr"]["k"]
    constant = np.log(c + np.arange(k)).sum() + k * math.log(power)
    powers = (power - 1.0) * np.log(z).sum(axis=1)
    return constant + powers - (c + k) * np.log1p((z**power).sum(axis=1))


def logistic_gumbel(z, w, c):
    k = len(w)
    return math.lgamma(k + 1.0) - z.sum(axis=1) - (k + 1.0) * np.log1p(np.exp(-z).sum(axis=1))


def dirichlet(z, w, c):
    constant = gammaln(c + w.sum()) - gammaln(c) - gammaln(w).sum()
    return constant + ((w - 1.0) * np.log(z)).sum(axis=1) + (c - 1.0) * np.log1p(-z.sum(axis=1))


DENSITIES = {
    "inverted-dirichlet": inverted_dirichlet,
    "multivariate-f": multivariate_f,
    "beta-olkin-liu": beta_olkin_liu,
    "lomax": lomax,
    "pareto": pareto,
    "burr": burr,
    "logistic-gumbel": logistic_gumbel,
    "dirichlet": dirichlet,
}


def shapes_of(name, dims):
    """Shapes of the columns of X and of Y and of what they have in common, as densities need."""
    theta = THETA[name]
    if len(theta) == 3:
        w_x, w_y, c = theta.values()
    else:
        w_x, w_y, c = 1.0, 1.0, theta.get("a", 1.0)
    return np.full(dims[0], w_x), np.full(dims[1], w_y), c


def densities_by_hand(name, x, y):
    """The logarithms of p(x, y), p(x) and p(y)."""
    w_x, w_y, c = shapes_of(name, (x.shape[1], y.shape[1]))
    f = DENSITIES[name]
    # to the marginal law of a Dirichlet vector the other side is left over too
    over_x, over_y = (c + w_y.sum(), c + w_x.sum()) if name == "dirichlet" else (c, c)
    joint = f(np.hstack((x, y)), np.concatenate((w_x, w_y)), c)
    return joint, f(x, w_x, over_x), f(y, w_y, over_y)


def ratio_by_hand(name, x, y):
    joint, only_x, only_y = densities_by_hand(name, x, y)
    return joint - only_x - only_y


def coordinates(name, s):
    """The point with the logarithmic gamma ratios s, and the logarithm of its Jacobian."""
    if name == "dirichlet":
        rest = 1.0 / (1.0 + np.exp(s).sum(axis=1))
        z = np.exp(s) * rest[:, None]
        return z, np.log(z).sum(axis=1) + np.log(rest)
    if name == "beta-olkin-liu":
        z = 1.0 / (1.0 + np.exp(-s))
        return z, (np.log(z) - np.log1p(np.exp(s))).sum(axis=1)
    if name == "logistic-gumbel":
        return -s, np.zeros(len(s))
    if name == "burr":
        k = THETA["burr"]["k"]
        return np.exp(s / k), (s / k - math.log(k)).sum(axis=1)
    return np.exp(s) + (name == "pareto"), s.sum(axis=1)


@every_family
@every_dimension
def test_the_information_is_that_of_the_written_out_densities(name, dims):
    w_x, w_y, c = shapes_of(name, dims)
    half = 0.5 if name == "multivariate-f" else 1.0
    s, log_volume = mesh(
        *(
            axis(-26.0 / (half * w), 26.0 / (half * c), 0.6)
            for w in np.concatenate((w_x, w_y)).tolist()
        )
    )
    z, log_jacobian = coordinates(name, s)
    x, y = z[:, : dims[0]], z[:, dims[0] :]
    joint, only_x, only_y = densities_by_hand(name, x, y)
    mass, mean, deviation = moments(joint + log_jacobian + log_volume, joint - only_x - only_y)
    found = member_of(name, dims).mutual_information()
    assert mass == pytest.approx(1.0, abs=1e-8)
    assert found.value == pytest.approx(mean, abs=1e-8)
    assert found.pmi_std == pytest.approx(deviation, rel=1e-7)


@every_family
@pytest.mark.parametrize("dims", [(1, 1), (3, 2), (1, 6)])
def test_the_pointwise_information_is_joint_less_marginal_log_densities(name, dims):
    member = member_of(name, dims)
    x, y = member.sample(500, np.random.default_rng(1))
    found = member.pointwise_mutual_information(x, y)
    assert found == pytest.approx(ratio_by_hand(name, x, y), rel=1e-8, abs=1e-8)


@every_family
def test_the_two_sides_can_be_exchanged(name):
    member, other = member_of(name, (3, 2)), member_of(name, (2, 3), **swapped(name))
    x, y = member.sample(50, np.random.default_rng(2))
    assert other.pointwise_mutual_information(y, x) == pytest.approx(
        member.pointwise_mutual_information(x, y), rel=1e-10
    )
    found, exchanged = member.mutual_information(), other.mutual_information()
    assert exchanged.value == pytest.approx(found.value, rel=1e-12)
    assert exchanged.pmi_std == pytest.approx(found.pmi_std, rel=1e-12)


@pytest.mark.parametrize("name", ["inverted-dirichlet", "dirichlet"])
def test_coordinates_count_through_their_sum(name):
    apart = member_of(name, (3, 2))
    summed = member_of(name, alpha=3.0 * apart.alpha, beta=2.0 * apart.beta)
    x, y = apart.sample(50, np.random.default_rng(3))
    assert summed.mutual_information() == apart.mutual_information()
    assert summed.pointwise_mutual_information(
        x.sum(axis=1, keepdims=True), y.sum(axis=1, keepdims=True)
    ) == pytest.approx(apart.pointwise_mutual_information(x, y), rel=1e-10)


# every law as the image of gamma ratios, coordinate by coordinate: the information is the same
IMAGES = [
    ("multivariate-f", {"nu_x": 1.6, "nu_y": 3.4, "nu_0": 4.6}, (0.8, 1.7, 2.3)),
    ("beta-olkin-liu", {"alpha": 0.8, "beta": 1.7, "c": 2.3}, (0.8, 1.7, 2.3)),
    ("multivariate-f", {"nu_x": 2.0, "nu_y": 2.0, "nu_0": 2.8}, (1.0, 1.0, 1.4)),
    ("lomax", {"a": 1.4}, (1.0, 1.0, 1.4)),
    ("pareto", {"a": 1.4}, (1.0, 1.0, 1.4)),
    ("burr", {"a": 1.4, "k": 2.5}, (1.0, 1.0, 1.4)),
    ("burr", {"a": 1.4, "k": 0.3}, (1.0, 1.0, 1.4)),
    ("logistic-gumbel", {}, (1.0, 1.0, 1.0)),
]


def image(name, u, theta):
    if name == "multivariate-f":
        return [u[side] * theta["nu_0"] / theta[nu] for side, nu in enumerate(("nu_x", "nu_y"))]
    maps = {
        "beta-olkin-liu": lambda v: v / (1.0 + v),
        "lomax": lambda v: v,
        "pareto": lambda v: 1.0 + v,
        "burr": lambda v: v ** (1.0 / theta["k"]),
        "logistic-gumbel": lambda v: -np.log(v),
    }
    return [maps[name](side) for side in u]


@pytest.mark.parametrize(("name", "theta", "shapes"), IMAGES)
def test_images_of_an_inverted_dirichlet_law_keep_its_information(name, theta, shapes):
    source = FAMILIES["inverted-dirichlet"](
        2, 3, **dict(zip(("alpha", "beta", "c"), shapes, strict=True))
    )
    member = FAMILIES[name](2, 3, **theta)
    assert member.mutual_information().value == source.mutual_information().value
    u = source.sample(200, np.random.default_rng(4))
    assert member.pointwise_mutual_information(*image(name, u, theta)) == pytest.approx(
        source.pointwise_mutual_information(*u), rel=1e-8, abs=1e-8
    )


@pytest.mark.parametrize("nu", [0.3, 2.0, 11.0])
def test_squares_of_student_variables_are_an_f_law_and_keep_the_information(nu):
    # I(X;Y) = I(X²;Y²), for the signs are independent of each other and of the squares
    student = FAMILIES["student-identity"](3, 2, nu=nu).mutual_information().value
    found = value("multivariate-f", (3, 2), nu_x=1.0, nu_y=1.0, nu_0=nu)
    assert found == pytest.approx(student, rel=1e-12)


def test_squares_of_a_point_of_the_ball_are_a_dirichlet_vector():
    ball = FAMILIES["uniform-ball"](3, 2).mutual_information().value
    found = value("dirichlet", (3, 2), alpha=0.5, beta=0.5, c=1.0)
    assert found == pytest.approx(ball, rel=1e-12)


@pytest.mark.parametrize("a", [0.02, 0.5, 1.0, 7.0])
def test_pairs_of_lifetimes_have_an_elementary_information(a):
    expected = math.log1p(1.0 / a) - 1.0 / (1.0 + a)
    for name in ("lomax", "pareto", "burr"):
        assert value(name, a=a) == pytest.approx(expected, rel=1e-11)
    assert value("logistic-gumbel") == pytest.approx(math.log(2.0) - 0.5, abs=1e-13)


def test_the_uniform_triangle_has_an_elementary_information():
    found = value("dirichlet", alpha=1.0, beta=1.0, c=1.0)
    assert found == pytest.approx(1.0 - math.log(2.0), abs=1e-13)


def information_by_mpmath(function, a, b, c):
    with mpmath.workdps(60):
        a, b, c = mpmath.mpf(a), mpmath.mpf(b), mpmath.mpf(c)
        return float(function(c) + function(c + a + b) - function(c + a) - function(c + b))


def f_function(x):
    return mpmath.loggamma(x) - x * mpmath.digamma(x)


def minus_g_function(x):
    return (x - 1) * mpmath.digamma(x) - mpmath.loggamma(x)


@pytest.mark.parametrize(
    ("name", "function"), [("inverted-dirichlet", f_function), ("dirichlet", minus_g_function)]
)
@some
@given(log_shape=st.tuples(log_shapes, log_shapes, log_shapes))
def test_tiny_and_huge_shapes_keep_the_digits_that_the_error_promises(name, function, log_shape):
    a, b, c = (10.0**each for each in log_shape)
    found = member_of(name, alpha=a, beta=b, c=c).mutual_information()
    assert abs(found.value - information_by_mpmath(function, a, b, c)) <= found.error
    assert 0.0 <= found.pmi_std < math.inf


@pytest.mark.parametrize("name", ["inverted-dirichlet", "beta-olkin-liu", "dirichlet"])
def test_the_information_vanishes_with_the_part_in_common_fixed(name):
    for c in (1e3, 1e5, 1e7):
        found = value(name, (2, 3), c=c)
        assert found == pytest.approx(1.6 * 5.1 / (2.0 * c * c), rel=10.0 / c)
    found = member_of(name, (2, 3), c=1e3).mutual_information()
    assert found.pmi_std**2 == pytest.approx(2.0 * found.value, rel=0.02)
    for key in ("alpha", "beta"):
        assert value(name, **{key: 1e-9}) < 1e-8


def test_the_information_diverges_as_the_part_in_common_vanishes():
    for c in (1e-4, 1e-8):
        found = value("inverted-dirichlet", alpha=1.0, beta=1.0, c=c)
        assert found + math.log(c) == pytest.approx(-1.0, abs=3.0 * c)
        assert value("dirichlet", c=c) * c == pytest.approx(1.0, abs=40.0 * c)


@pytest.mark.parametrize("name", ["inverted-dirichlet", "beta-olkin-liu", "dirichlet"])
def test_large_shapes_give_a_gaussian_pair(name):
    # by the delta method: the squared correlation of the two sides is ab/((a+c)(b+c))
    rho_squared = 2.0 * 3.0 / ((2.0 + 1.5) * (3.0 + 1.5))
    for size in (1e2, 1e4, 1e6):
        found = value(name, alpha=2.0 * size, beta=3.0 * size, c=1.5 * size)
        assert found == pytest.approx(-0.5 * math.log1p(-rho_squared), abs=1.0 / size)


def test_a_certain_numerator_leaves_the_common_gamma_variable():
    # H_j/β -> 1: Y is 1/G_0, and X given it a gamma variable of that scale
    for beta in (1e3, 1e6):
        found = value("inverted-dirichlet", beta=beta)
        limit = FAMILIES["gamma-gamma"](1, 1, k=0.8, rate_shape=2.3).mutual_information().value
        assert found == pytest.approx(limit, abs=3.0 / beta)
        # and of a Dirichlet vector, where Y is large, the rest is 1 - Y: X and what it leaves
        found = value("dirichlet", beta=beta)
        limit = FAMILIES["gamma-additive"](1, 1, a=0.8, b=2.3).mutual_information().value
        assert found == pytest.approx(limit, abs=3.0 / beta)


@pytest.mark.parametrize(
    ("name", "key", "sign"),
    [
        ("inverted-dirichlet", "alpha", 1),
        ("inverted-dirichlet", "beta", 1),
        ("inverted-dirichlet", "c", -1),
        ("multivariate-f", "nu_x", 1),
        ("multivariate-f", "nu_y", 1),
        ("multivariate-f", "nu_0", -1),
        ("beta-olkin-liu", "c", -1),
        ("lomax", "a", -1),
        ("pareto", "a", -1),
        ("burr", "a", -1),
        ("dirichlet", "alpha", 1),
        ("dirichlet", "beta", 1),
        ("dirichlet", "c", -1),
    ],
)
def test_information_is_monotone(name, key, sign):
    values = [value(name, (2, 2), **{key: float(each)}) for each in np.geomspace(1e-3, 1e3, 60)]
    assert (sign * np.diff(values) > 0.0).all()


@every_family
def test_one_more_coordinate_adds_information(name):
    values = [value(name, (2, n)) for n in (1, 2, 5, 40, 1000)]
    assert (np.diff(values) > 0.0).all()


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("inverted-dirichlet", "c"),
        ("multivariate-f", "nu_0"),
        ("beta-olkin-liu", "c"),
        ("lomax", "a"),
        ("pareto", "a"),
        ("burr", "a"),
        ("dirichlet", "c"),
    ],
)
def test_an_infinite_information_is_refused_with_the_reason(name, key):
    reason = FAMILIES[name].parameters[key].reason
    assert reason.endswith("I(X;Y) is infinite")
    message = f"^{name}: {key} must lie in .*, got 0.0; {re.escape(reason)}$"
    with pytest.raises(ValueError, match=message):
        member_of(name, **{key: 0.0})


MARGINS = {
    "inverted-dirichlet": (stats.betaprime(0.8, 2.3), stats.betaprime(1.7, 2.3)),
    "multivariate-f": (stats.f(1.6, 4.6), stats.f(3.4, 4.6)),
    "beta-olkin-liu": (stats.beta(0.8, 2.3), stats.beta(1.7, 2.3)),
    "lomax": (stats.lomax(1.4), stats.lomax(1.4)),
    "pareto": (stats.pareto(1.4), stats.pareto(1.4)),
    "burr": (stats.burr12(2.5, 1.4), stats.burr12(2.5, 1.4)),
    "logistic-gumbel": (stats.logistic(), stats.logistic()),
    "dirichlet": (stats.beta(0.8, 2.3 + 0.8 + 3.4), stats.beta(1.7, 2.3 + 1.6 + 1.7)),
}


@every_family
def test_every_coordinate_has_the_margin_of_the_model(name):
    x, y = member_of(name, (2, 2)).sample(60_000, np.random.default_rng(5))
    for side, margin in zip((x, y), MARGINS[name], strict=True):
        for column in side.T:
            assert stats.kstest(column, margin.cdf).pvalue > 1e-4


def test_a_dirichlet_vector_leaves_out_the_part_that_the_model_says():
    x, y = member_of("dirichlet", (2, 2)).sample(60_000, np.random.default_rng(8))
    rest = 1.0 - x.sum(axis=1) - y.sum(axis=1)
    assert stats.kstest(rest, stats.beta(2.3, 1.6 + 3.4).cdf).pvalue > 1e-4


TO_RATIOS = {
    "beta-olkin-liu": lambda z: z / (1.0 - z),
    "pareto": lambda z: z - 1.0,
    "burr": lambda z: z**2.5,
    "logistic-gumbel": lambda z: np.exp(-z),
}


@every_family
def test_what_the_sides_have_in_common_cancels_in_their_ratio(name):
    x, y = member_of(name, (1, 3)).sample(20_000, np.random.default_rng(6))
    to_ratios = TO_RATIOS.get(name, lambda z: z)
    s, t = to_ratios(x)[:, 0], to_ratios(y).sum(axis=1)
    w_x, w_y, _ = shapes_of(name, (1, 3))
    a, b = w_x[0], w_y.sum()
    f_ratio = stats.f(a, b, scale=1.0 / 3.0)  # a mean square to the sum of three
    law = f_ratio if name == "multivariate-f" else stats.betaprime(a, b)
    assert stats.kstest(s / t, law.cdf).pvalue > 1e-4


@pytest.mark.parametrize("name", ["lomax", "pareto", "burr", "inverted-dirichlet"])
def test_a_sample_beyond_double_precision_is_refused(name):
    key = "c" if name == "inverted-dirichlet" else "a"
    with pytest.raises(FloatingPointError, match="holds a NaN or an infinity"):
        member_of(name, (2, 2), **{key: 1e-4}).sample(100, np.random.default_rng(7))


@every_family
def test_points_on_the_edge_of_single_precision_stay_finite(name):
    low, high = (1.0, 1e30) if name == "pareto" else (0.0, 1e30)
    if name in {"beta-olkin-liu", "dirichlet"}:
        high = 1.0
    x = np.array([[low], [high], [low], [high]])
    y = np.array([[low], [low], [high], [high]])
    assert np.isfinite(member_of(name).pointwise_mutual_information(x, y)).all()
