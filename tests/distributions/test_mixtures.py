"""Mixtures: integrals against other integrals, densities written out, limits and samplers.

Statistical tests have fixed seeds; |z| < 5 has a false-alarm rate of 6e-7, a p-value below 1e-4
one of 1e-4 in each of some ten tests.
"""

import math

import numpy as np
import pytest
from scipy import stats
from scipy.special import kve, logsumexp

from mistdata.distributions import FAMILIES
from mistdata.distributions.base import Precision
from mistdata.distributions.families import _label_mixtures as labels
from mistdata.distributions.families import _mixture_integrals as integrals
from mistdata.distributions.families import mixtures
from mistdata.distributions.stratified import stratified
from tests.distributions.normals_by_hand import information, pointwise

EXACT = Precision(n=10**18, strict=True)  # as exact as a quadrature goes
COMPARED = 20_000
CORNERS = np.array([(a, b) for a in (1.0, -1.0) for b in (1.0, -1.0)])
# the letters of Czyż et al.: an I of three bars, an A of a bar and two legs
LETTERS = (
    np.full(6, 1.0 / 6.0),
    np.array([(1, 0), (1, 1), (1, -1), (-0.8, -0.2), (-1.2, 0), (-0.4, 0)], float),
    np.array(
        [
            [(0.01, 0), (0, 0.2)],
            [(0.05, 0), (0, 0.001)],
            [(0.05, 0), (0, 0.001)],
            [(0.03, 0), (0, 0.001)],
            [(0.04, 0.95 * math.sqrt(0.008)), (0.95 * math.sqrt(0.008), 0.2)],
            [(0.04, -0.95 * math.sqrt(0.008)), (-0.95 * math.sqrt(0.008), 0.2)],
        ]
    ),
)


def make(name, dim_x=1, dim_y=1, **theta):
    return FAMILIES[f"mixture-{name}"](dim_x, dim_y, **theta)


def value(name, dim_x=1, dim_y=1, **theta):
    return make(name, dim_x, dim_y, **theta).mutual_information(EXACT).value


def drawn(member, seed, n=COMPARED):
    return member.sample(n, np.random.default_rng(seed))


def blobs(sigma, rho):
    covariances = [
        sigma**2 * np.array([[1.0, rho * a * b], [rho * a * b, 1.0]]) for a, b in CORNERS
    ]
    return np.full(4, 0.25), CORNERS, np.array(covariances)


def crossed(rho):
    return [0.5, 0.5], np.zeros((2, 2)), np.array([[[1.0, r], [r, 1.0]] for r in (rho, -rho)])


def binary_capacity(a):
    """The information of a fair sign ±a in unit noise, by Gauss-Legendre."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    z = 12.0 * nodes
    loss = np.logaddexp(0.0, -2.0 * a * a - 2.0 * a * z)
    return math.log(2.0) - 12.0 * (weights * stats.norm.pdf(z)) @ loss


# ------------------------------------------------------------------------------------ X and blobs


@pytest.mark.parametrize("rho", [0.02, 0.3, 0.77, 0.95])
def test_the_crossed_normals_have_the_information_of_one_grid(rho):
    found = make("x", rho=rho).mutual_information()
    expected, deviation = information(*crossed(rho), step=0.1 * math.sqrt(1.0 - rho * rho))
    assert found.value == pytest.approx(expected, abs=2e-12)
    assert found.pmi_std == pytest.approx(deviation, abs=1e-9)


@pytest.mark.parametrize("rho", [0.01, 0.1, 0.5, 0.9, 0.999, 0.99997])
def test_the_table_of_the_crossed_normals_keeps_its_word(rho):
    found = make("x", rho=rho).mutual_information()
    exact = integrals.crossed_information(-0.5 * math.log1p(-rho * rho))
    assert abs(found.value - exact.value) <= found.error < 1e-11
    assert found.pmi_std == pytest.approx(exact.pmi_std, abs=1e-9)


@pytest.mark.parametrize("rho", [0.2, 0.9, 0.99])
def test_the_crossed_normals_hold_what_the_squares_of_one_normal_do(rho):
    kibble = FAMILIES["gamma-kibble"](1, 1, k=0.5, r=rho * rho).mutual_information()
    assert value("x", rho=rho) == pytest.approx(kibble.value, abs=1e-9)


def test_weak_and_strong_crossing_have_their_leading_terms():
    assert value("x", rho=0.0) == pytest.approx(0.0, abs=1e-12)
    assert value("x", rho=0.05) == pytest.approx(0.5 * 0.05**4, rel=1e-2)
    # one of two lines in each quadrant: a bit is lost
    rho = 1.0 - 1e-6
    assert value("x", rho=rho) == pytest.approx(
        -0.5 * math.log1p(-rho * rho) - math.log(2.0), abs=1e-3
    )


@pytest.mark.parametrize("rho", [0.0, 0.4, 0.99])
def test_the_pointwise_information_of_the_crossed_normals_is_that_of_dense_ones(rho):
    x, y = 2.0 * np.random.default_rng(1).standard_normal((2, 300, 1))
    found = make("x", rho=rho).pointwise_mutual_information(x, y)
    np.testing.assert_allclose(found, pointwise(x, y, *crossed(rho)), atol=1e-9, rtol=1e-10)


def test_the_crossed_normals_are_uncorrelated_and_their_squares_are_not():
    x, y = drawn(make("x", rho=0.9), 2)
    assert abs((x * y).mean()) * math.sqrt(COMPARED) < 5.0 * (x * y).std()
    for side in (x, y):
        assert stats.kstest(side[:, 0], "norm").pvalue > 1e-4
    assert np.corrcoef(x[:, 0] ** 2, y[:, 0] ** 2)[0, 1] == pytest.approx(0.81, abs=0.05)


@pytest.mark.parametrize(("sigma", "rho"), [(0.2, 0.5), (0.5, -0.9), (1.0, 0.95), (3.0, 0.3)])
def test_the_blobs_have_the_information_of_one_grid(sigma, rho):
    found = make("blobs", sigma=sigma, rho=rho).mutual_information(EXACT)
    step = 0.1 * sigma * math.sqrt(1.0 - rho * rho)
    expected, deviation = information(*blobs(sigma, rho), step)
    assert found.value == pytest.approx(expected, abs=2e-11)
    assert found.pmi_std == pytest.approx(deviation, abs=1e-9)


def test_narrow_blobs_are_one_normal_and_wide_ones_cross():
    assert value("blobs", sigma=0.01, rho=0.9) == pytest.approx(
        -0.5 * math.log1p(-0.81), abs=1e-10
    )
    assert value("blobs", sigma=100.0, rho=0.9) == pytest.approx(value("x", rho=0.9), abs=2e-4)


def test_the_pointwise_information_of_the_blobs_is_that_of_dense_normals():
    x, y = 1.5 * np.random.default_rng(3).standard_normal((2, 300, 1))
    found = make("blobs", sigma=0.5, rho=0.8).pointwise_mutual_information(x, y)
    np.testing.assert_allclose(found, pointwise(x, y, *blobs(0.5, 0.8)), atol=1e-9)


def test_every_blob_has_its_corner_and_its_tilt():
    x, y = drawn(make("blobs", sigma=0.1, rho=0.8), 4)
    corner = np.sign(np.hstack((x, y)))
    for a, b in CORNERS:
        mine = (corner == (a, b)).all(axis=1)
        assert stats.binomtest(int(mine.sum()), COMPARED, 0.25).pvalue > 1e-4
        inner = np.hstack((x, y))[mine] - (a, b)
        assert np.corrcoef(inner.T)[0, 1] == pytest.approx(0.8 * a * b, abs=0.03)
        assert inner.std(axis=0) == pytest.approx(0.1, rel=0.05)


# ------------------------------------------------------------------------------------- the letters


def test_the_letters_have_the_pointwise_information_of_dense_normals():
    x, y = drawn(make("ai"), 5, 300)
    found = make("ai").pointwise_mutual_information(x, y)
    np.testing.assert_allclose(found, pointwise(x, y, *LETTERS), atol=1e-9)


def test_the_information_in_the_letters_is_the_mean_of_their_density_by_hand():
    rng = np.random.default_rng(6)
    rows = np.vstack(
        [rng.multivariate_normal(m, s, COMPARED) for m, s in zip(*LETTERS[1:], strict=True)]
    )
    pmi = pointwise(rows[:, :1], rows[:, 1:], *LETTERS)
    stated = make("ai").mutual_information()
    # equal numbers from every letter: the error is below that of independent draws
    assert abs(pmi.mean() - stated.value) < 5.0 * pmi.std() / math.sqrt(len(pmi))
    assert pmi.std() == pytest.approx(stated.pmi_std, abs=0.01)


@pytest.mark.slow
def test_the_information_in_the_letters_is_that_of_the_quadrature():
    stated, found = make("ai").mutual_information(), stratified(mixtures._LETTERS)
    assert abs(found.value - stated.value) <= stated.error
    assert found.error <= stated.error
    assert found.pmi_std == pytest.approx(stated.pmi_std, abs=1e-9)


# --------------------------------------------------------------------------------- shared labels


@pytest.mark.parametrize("distance", [0.3, 1.0, 2.5, 6.0, 14.0, 20.0])
def test_the_galaxy_holds_what_three_binary_channels_do(distance):
    member = make("galaxy", 2, 1, speed=0.7, distance=distance)
    expected = binary_capacity(distance / math.sqrt(2.0)) + binary_capacity(distance / 2.0)
    expected -= binary_capacity(distance * math.sqrt(0.75))
    found = member.mutual_information()
    assert found.value == pytest.approx(expected, abs=1e-10)
    assert abs(found.value - labels._galaxy(distance).value) <= found.error < 1e-9


def test_the_galaxy_holds_nothing_at_no_distance_and_a_bit_at_a_great_one():
    assert value("galaxy", 2, 1, speed=1.0, distance=0.0) == pytest.approx(0.0, abs=1e-10)
    assert value("galaxy", 2, 1, speed=1.0, distance=40.0) == pytest.approx(math.log(2.0))


def two_balls(distance):
    centre = 0.5 * distance
    return [0.5, 0.5], [(centre,) * 3, (-centre,) * 3], np.array([np.eye(3)] * 2)


def test_the_galaxy_is_two_balls_wound_up():
    member = make("galaxy", 2, 1, speed=0.4, distance=3.0)
    x, y = drawn(member, 7)
    angle = -0.4 * (x**2).sum(axis=1)
    u = (x[:, 0] + 1j * x[:, 1]) * np.exp(1j * angle)
    rows = np.stack((u.real, u.imag), axis=1)
    np.testing.assert_allclose(
        member.pointwise_mutual_information(x[:300], y[:300]),
        pointwise(rows[:300], y[:300], *two_balls(3.0)),
        atol=1e-9,
    )
    # along the line of the centres, two normals; across it, one
    assert stats.kstest((rows[:, 0] - rows[:, 1]) / math.sqrt(2.0), "norm").pvalue > 1e-4

    def two(t):
        return 0.5 * (stats.norm.cdf(t - 1.5) + stats.norm.cdf(t + 1.5))

    assert stats.kstest(y[:, 0], two).pvalue > 1e-4
    assert stats.kstest(rows[:, 0], two).pvalue > 1e-4


def waves(components):
    k = np.arange(components)
    means = np.stack((1.5 * k, 1.5 * (k % 4)), axis=1)
    return np.full(components, 1.0 / components), means, np.array([0.1 * np.eye(2)] * components)


@pytest.mark.parametrize("components", [2, 5, 9])
def test_the_waves_have_the_information_of_one_grid(components):
    found = make("waves", 2, 1, components=components, amplitude=3.0, frequency=2.0)
    expected, deviation = information(*waves(components), step=0.06)
    mi = found.mutual_information()
    assert mi.value == pytest.approx(expected, abs=1e-10)
    assert mi.pmi_std == pytest.approx(deviation, abs=1e-9)


def test_two_waves_are_three_binary_channels():
    a = 0.75 / math.sqrt(0.1)
    expected = 2.0 * binary_capacity(a) - binary_capacity(a * math.sqrt(2.0))
    assert value("waves", 2, 1, components=2, amplitude=1.0, frequency=1.0) == pytest.approx(
        expected, abs=1e-10
    )


def test_the_waves_are_balls_in_a_row_bent():
    member = make("waves", 2, 1, components=6, amplitude=4.0, frequency=2.0)
    x, y = drawn(member, 8)
    v = 2.0 * x[:, 1]
    u = 10.0 * (x[:, 0] + 0.8) - 4.0 * np.sin(2.0 * v)
    assert stats.kstest(v, "norm").pvalue > 1e-4
    k = np.arange(6)[:, None]

    def row(t):
        return stats.norm.cdf(t, 1.5 * k, math.sqrt(0.1)).mean(axis=0)

    def folded(t):
        return stats.norm.cdf(t, 1.5 * (k % 4), math.sqrt(0.1)).mean(axis=0)

    assert stats.kstest(u, row).pvalue > 1e-4
    assert stats.kstest(y[:, 0], folded).pvalue > 1e-4
    np.testing.assert_allclose(
        member.pointwise_mutual_information(x[:300], y[:300]),
        pointwise(u[:300, None], y[:300], *waves(6)),
        atol=1e-8,
    )


def test_the_waves_hold_at_most_which_of_four():
    found = [value("waves", 2, 1, components=k, amplitude=1.0, frequency=1.0) for k in (4, 16, 64)]
    assert max(found) < math.log(4.0)
    assert np.ptp(found) < 0.03


def concentric_by_draws(dim, components, n, rng):
    """The pointwise information of the label, by densities of χ² radii."""
    k = rng.integers(1, components, size=n, endpoint=True)
    radius = k * np.sqrt(rng.chisquare(dim, n))
    widths = np.arange(1, components + 1)
    terms = stats.chi.logpdf(radius[:, None] / widths, dim) - np.log(widths)
    return terms[np.arange(n), k - 1] - logsumexp(terms, axis=1) + math.log(components)


@pytest.mark.parametrize(("dim", "components"), [(1, 2), (4, 8), (60, 30)])
def test_the_concentric_laws_tell_their_label_by_the_radius(dim, components):
    pmi = concentric_by_draws(dim, components, COMPARED, np.random.default_rng(9))
    found = make("concentric", dim, 1, components=components).mutual_information()
    assert abs(pmi.mean() - found.value) < 5.0 * pmi.std() / math.sqrt(COMPARED)
    assert pmi.std() == pytest.approx(found.pmi_std, rel=0.05)


def test_more_dimensions_tell_the_width_better():
    found = [value("concentric", dim, 1, components=5) for dim in (1, 2, 8, 64, 2000)]
    assert (np.diff(found) > 0.0).all()
    assert found[-1] == pytest.approx(math.log(5.0), abs=1e-6)


def test_the_width_of_x_is_what_y_says():
    member = make("concentric", 3, 1, components=4)
    x, y = drawn(member, 10)
    k = np.round(y)
    assert set(np.unique(k)) == {1.0, 2.0, 3.0, 4.0}
    assert stats.chisquare(np.unique(k, return_counts=True)[1]).pvalue > 1e-4
    assert stats.kstest((x / k).ravel(), "norm").pvalue > 1e-4
    assert stats.kstest(((y - k) / 0.01).ravel(), "norm").pvalue > 1e-4
    squares = (x**2).sum(axis=1)
    widths = np.arange(1, 5)
    terms = -0.5 * squares[:, None] / widths**2 - 3.0 * np.log(widths)
    expected = terms[np.arange(len(x)), k[:, 0].astype(int) - 1] - logsumexp(terms, axis=1)
    np.testing.assert_allclose(
        member.pointwise_mutual_information(x, y), expected + math.log(4.0), atol=1e-9
    )


# --------------------------------------------------------------------------------------- inliers


@pytest.mark.parametrize(("pairs", "strength"), [(1, 0.5), (3, 2.0), (20, 5.0)])
def test_without_replaced_rows_the_pairs_are_normal(pairs, strength):
    normal = FAMILIES["gaussian-sparse"](20, 21, strength=strength, pairs=pairs)
    found = make("inliers", 20, 21, strength=strength, pairs=pairs, fraction=0.0)
    mi, expected = found.mutual_information(), normal.mutual_information()
    assert mi.value == pytest.approx(expected.value, abs=1e-10)
    assert mi.pmi_std == pytest.approx(expected.pmi_std, rel=1e-8)


def test_rows_all_replaced_hold_nothing():
    mi = make("inliers", 3, 3, strength=4.0, pairs=2, fraction=1.0).mutual_information()
    assert mi.value == pytest.approx(0.0, abs=1e-10)
    assert mi.pmi_std == pytest.approx(0.0, abs=1e-5)


def test_more_replaced_rows_hold_less():
    found = [
        value("inliers", 4, 4, strength=2.0, pairs=3, fraction=f) for f in np.linspace(0, 1, 12)
    ]
    assert (np.diff(found) < 0.0).all()


@pytest.mark.parametrize("fraction", [0.1, 0.7])
def test_one_pair_with_inliers_has_the_information_of_one_grid(fraction):
    mixture = [1.0 - fraction, fraction], np.zeros((2, 2)), np.array([np.eye(2)] * 2)
    rho = 1.5**2 / (1.0 + 1.5**2)
    mixture[2][0, 0, 1] = mixture[2][0, 1, 0] = rho
    expected, deviation = information(*mixture, step=0.06)
    found = make("inliers", 1, 1, strength=1.5, pairs=1, fraction=fraction).mutual_information()
    assert found.value == pytest.approx(expected, abs=1e-11)
    assert found.pmi_std == pytest.approx(deviation, abs=1e-9)


@pytest.mark.parametrize(("pairs", "strength"), [(2, 3.0), (7, 1.0), (40, 0.7)])
def test_many_pairs_with_inliers_have_the_mean_of_a_density_by_hand(pairs, strength):
    rng, fraction = np.random.default_rng(11), 0.3
    rho = strength**2 / (1.0 + strength**2)
    x, noise = rng.standard_normal((2, COMPARED, pairs))
    kept = rng.random((COMPARED, 1)) > fraction
    y = np.where(kept, rho * x + math.sqrt(1.0 - rho * rho) * noise, noise)
    s = (stats.norm.logpdf(y, rho * x, math.sqrt(1.0 - rho * rho)) - stats.norm.logpdf(y)).sum(
        axis=1
    )
    pmi = np.logaddexp(math.log(1.0 - fraction) + s, math.log(fraction))
    member = make("inliers", pairs + 1, pairs, strength=strength, pairs=pairs, fraction=fraction)
    found = member.mutual_information()
    assert abs(pmi.mean() - found.value) < 5.0 * pmi.std() / math.sqrt(COMPARED)
    assert pmi.std() == pytest.approx(found.pmi_std, rel=0.05)
    wider = np.hstack((x, rng.standard_normal((COMPARED, 1))))
    np.testing.assert_allclose(member.pointwise_mutual_information(wider, y), pmi, atol=1e-8)


def test_replaced_rows_keep_their_margins():
    x, y = drawn(make("inliers", 3, 3, strength=3.0, pairs=2, fraction=0.4), 12)
    for side in (x, y):
        for column in side.T:
            assert stats.kstest(column, "norm").pvalue > 1e-4
    expected = np.diag([0.9 * 0.6, 0.9 * 0.6, 0.0])
    assert (np.abs(x.T @ y / COMPARED - expected) < 5.0 * math.sqrt(2.0 / COMPARED)).all()


@pytest.mark.parametrize("pairs", [1, 2, 3, 8, 31])
def test_the_bessel_functions_of_every_order_are_those_of_scipy(pairs):
    order, z = 0.5 * (pairs - 1), np.geomspace(1e-3, 300.0, 40)
    expected = order * np.log(z) + np.log(kve(order, z))
    np.testing.assert_allclose(integrals._log_bessel(pairs, z), expected, rtol=1e-12, atol=1e-12)


# ---------------------------------------------------------------------------- clusters of a label


def clusters(rows):
    """Label rows along their line of greatest spread, split wherever two are a unit apart."""
    centred = rows - rows.mean(axis=0)
    along = centred @ np.linalg.svd(centred, full_matrices=False)[2][0]
    order = np.argsort(along)
    label = np.empty(len(rows), int)
    label[order] = np.cumsum(np.diff(along[order], prepend=along[order[0]]) > 1.0)
    return label


def test_clusters_that_touch_nothing_pair_off_and_hold_the_entropy_of_their_label():
    member = make("labels", 1, 1, components=5, evenness=3.0, structure=4)
    x, y = drawn(member, 13)
    table = np.zeros((5, 5))
    np.add.at(table, (clusters(x), clusters(y)), 1)
    assert ((table > 0).sum(axis=0) == 1).all() and ((table > 0).sum(axis=1) == 1).all()
    p = table[table > 0] / COMPARED
    found = member.mutual_information()
    deviation = found.pmi_std / math.sqrt(COMPARED)
    # the plug-in entropy is low by (K-1)/2n
    assert abs(-p @ np.log(p) - found.value) < 5.0 * deviation + 5.0 / COMPARED


@pytest.mark.parametrize("dims", [(1, 5), (3, 2)])
def test_the_clusters_are_balls_whose_centres_are_apart(dims):
    member = make("labels", *dims, components=20, evenness=2.0, structure=6)
    x, y = drawn(member, 14)
    for side, (centres, radii) in ((x, member._x), (y, member._y)):
        between = np.linalg.norm(centres[:, None] - centres, axis=2)
        assert between[~np.eye(20, dtype=bool)].min() >= 3.0
        assert radii.min() >= 0.3 and radii.max() <= 1.0
        away = np.linalg.norm(side[:, None] - centres, axis=2)
        label = away.argmin(axis=1)
        filled = (away.min(axis=1) / radii[label, 0]) ** side.shape[1]
        assert stats.kstest(filled, "uniform").pvalue > 1e-4
        counts = np.bincount(label, minlength=20)
        assert stats.chisquare(counts, COMPARED * member._weights).pvalue > 1e-4


def test_a_pair_from_two_labels_has_no_density():
    member = make("labels", 2, 3, components=6, evenness=5.0, structure=8)
    x, y = member._x[0], member._y[0]
    np.testing.assert_allclose(
        member.pointwise_mutual_information(x, y), -np.log(member._weights), rtol=1e-14
    )
    assert (member.pointwise_mutual_information(x, np.roll(y, 1, axis=0)) == -np.inf).all()


def test_even_labels_hold_their_number():
    found = make("labels", 2, 2, components=30, evenness=1000.0, structure=1)
    assert found.mutual_information().value == pytest.approx(math.log(30.0), abs=2e-3)
