"""Random normal mixtures: the model redrawn by hand, their points, and two ways to integrate.

Statistical tests have fixed seeds; |z| < 5.5 over some hundreds of numbers has a false-alarm rate
below 2e-5.
"""

import math

import numpy as np
import pytest
from scipy.special import entr

from mistdata.distributions.base import Precision
from mistdata.distributions.families import _random_mixture as module
from mistdata.distributions.families._random_mixture import MixtureGaussian
from mistdata.distributions.stratified import stratified
from mistdata.pipeline.label import make_label
from tests.distributions.normals_by_hand import pointwise

DIMS = [(1, 1), (1, 4), (3, 2), (12, 20)]
every_size = pytest.mark.parametrize("dims", DIMS)


def member_at(dims, components=4, spread=2.0, correlation=0.9, structure=1):
    return MixtureGaussian(
        *dims,
        components=components,
        spread=spread,
        correlation=correlation,
        structure=structure,
    )


def side_by_hand(rng, k, dim, rank, spread):
    """Means, and the symmetric roots and orthonormal directions of all components of a side."""
    means = rng.standard_normal((k, dim)) * (spread / math.sqrt(dim))
    scales = np.exp(0.3 * rng.standard_normal(k))
    directions = [np.linalg.qr(each)[0] for each in rng.standard_normal((k, dim, rank))]
    stretches = np.exp(0.4 * rng.standard_normal((k, rank)))
    roots = [
        s * (np.eye(dim) + u @ np.diag(t - 1.0) @ u.T)
        for s, u, t in zip(scales, directions, stretches, strict=True)
    ]
    return means, roots, directions


def mixture_by_hand(member):
    """Weights, means, dense covariances and correlations, drawn as the docstring says."""
    rng = np.random.Generator(np.random.Philox(member.structure))
    k, rank = member.components, min(member.dim_x, member.dim_y, 2)
    weights = rng.dirichlet([2.0] * k)
    x, y = (side_by_hand(rng, k, d, rank, member.spread) for d in (member.dim_x, member.dim_y))
    rho = rng.uniform(-member.correlation, member.correlation, (k, rank))
    covariances = []
    for root_x, u, root_y, v, r in zip(*x[1:], *y[1:], rho, strict=True):
        cross = root_x @ u @ np.diag(r) @ v.T @ root_y
        covariances.append(np.block([[root_x @ root_x, cross], [cross.T, root_y @ root_y]]))
    return weights, np.hstack((x[0], y[0])), np.array(covariances), rho


def held_within(rho):
    """The information in every component."""
    return -0.5 * np.log1p(-(rho**2)).sum(axis=1)


@every_size
def test_the_dense_mixture_is_the_one_that_the_model_describes(dims):
    member = member_at(dims)
    weights, means, covariances, rho = mixture_by_hand(member)
    dense = member.gaussian_mixture()
    np.testing.assert_allclose(dense.weights, weights, rtol=1e-14)
    np.testing.assert_allclose(dense.means, means, rtol=1e-12)
    np.testing.assert_allclose(dense.factors @ dense.factors.mT, covariances, atol=1e-12)
    x, y = slice(None, dims[0]), slice(dims[0], None)
    logs = [np.linalg.slogdet(covariances[:, s, s])[1] for s in (x, y, slice(None))]
    np.testing.assert_allclose(0.5 * (logs[0] + logs[1] - logs[2]), held_within(rho), atol=1e-11)


@every_size
def test_the_pointwise_information_is_that_of_dense_normals(dims):
    member = member_at(dims, components=3)
    x, y = member.sample(60, np.random.default_rng(2))
    x, y = np.vstack((x, 3.0 * x)), np.vstack((y, -y))  # also far from where the mass is
    expected = pointwise(x, y, *mixture_by_hand(member)[:3])
    found = member.pointwise_mutual_information(x, y)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(member.gaussian_mixture().pointwise(x, y), expected, rtol=1e-8)


@every_size
def test_the_sample_has_the_mean_and_the_covariance_of_the_dense_mixture(dims):
    member, n = member_at(dims, components=2, spread=1.0), 20_000
    weights, means, covariances, _ = mixture_by_hand(member)
    rows = np.hstack(member.sample(n, np.random.default_rng(3)))
    centred = means - weights @ means
    expected = np.einsum("k,kij->ij", weights, covariances)
    expected += np.einsum("k,ki,kj->ij", weights, centred, centred)
    rows -= weights @ means
    assert (np.abs(rows.mean(axis=0)) < 5.5 * rows.std(axis=0) / math.sqrt(n)).all()
    second, fourth = rows.T @ rows / n, (rows**2).T @ rows**2 / n
    assert (np.abs(second - expected) < 5.5 * np.sqrt((fourth - second**2) / n)).all()


@every_size
def test_the_labelled_points_have_the_covariance_of_their_component(dims):
    member, n = member_at(dims, components=3), 20_000
    _, means, covariances, _ = mixture_by_hand(member)
    z = np.random.default_rng(4).standard_normal((n, sum(dims)))
    for k in range(3):
        rows = np.hstack(member._place(np.full(n, k), z)) - means[k]
        diagonal = np.diagonal(covariances[k])
        error = np.sqrt((np.outer(diagonal, diagonal) + covariances[k] ** 2) / n)
        assert (np.abs(rows.T @ rows / n - covariances[k]) < 5.5 * error).all()


@every_size
def test_the_entropies_and_the_control_variate_add_up(dims):
    member, n = member_at(dims, spread=1.0), 20_000
    weights, _, _, rho = mixture_by_hand(member)
    known = float(weights @ held_within(rho) + entr(weights).sum())
    rng = np.random.default_rng(5)
    points = np.hstack((rng.random((n, 1)), rng.standard_normal((n, sum(dims)))))
    entropies, control = member._entropies(points, known)
    label = np.searchsorted(np.cumsum(weights), points[:, 0])
    pmi = member.pointwise_mutual_information(*member._place(label, points[:, 1:]))
    np.testing.assert_allclose(known + entropies + control, pmi, atol=1e-9)
    # the control has mean zero, so that the entropies have the mean I - known
    assert abs(control.mean()) < 5.0 * control.std() / math.sqrt(n)
    assert control.std() > 0.05


@pytest.mark.parametrize(("components", "structure"), [(2, 1), (5, 2), (20, 3), (40, 4)])
def test_quadrature_and_quasi_monte_carlo_agree(components, structure):
    member = member_at((1, 1), components, structure=structure)
    exact = stratified(member.gaussian_mixture(), Precision(10_000, strict=True))
    found = member._by_rqmc(Precision(10_000))
    assert found.error_kind == "rqmc_se"
    assert abs(found.value - exact.value) < 5.0 * found.error + exact.error
    assert found.pmi_std == pytest.approx(exact.pmi_std, rel=0.01)


def test_the_standard_error_is_one():
    # z² of 25 members has the mean 15/13 and, if they were independent, the deviation 0.4
    squares = []
    for structure in range(25):
        member = member_at((1, 1), 3, spread=1.5, structure=structure)
        exact = stratified(member.gaussian_mixture(), Precision(1000, strict=True))
        found = member._by_rqmc(Precision(10_000))
        squares.append(((found.value - exact.value) / found.error) ** 2)
    assert 0.4 < np.mean(squares) < 2.4
    assert max(squares) < 36.0


@pytest.mark.parametrize("correlation", [0.0, 0.95])
def test_components_far_apart_share_their_label_and_what_each_holds(correlation):
    member = member_at((20, 30), 6, spread=100.0, correlation=correlation)
    weights, _, _, rho = mixture_by_hand(member)
    mi = member.mutual_information()
    expected = weights @ held_within(rho) + entr(weights).sum()
    assert mi.value == pytest.approx(expected, abs=1e-12)
    assert mi.error < 1e-12


def test_components_in_one_place_share_no_label():
    member = member_at((1, 1), 2, spread=1e-9, correlation=0.0)
    assert member.mutual_information().value < 0.05
    # not nought: wide X goes with wide Y
    assert member.mutual_information().value > 1e-4


@pytest.mark.parametrize("dims", [(2, 2), (6, 9)])
def test_more_is_asked_for_more_exact_labels(dims):
    member = member_at(dims, 7, spread=1.0)
    found = [member.mutual_information(p) for p in (Precision(1000), Precision(4000))]
    for mi, n in zip(found, (1000, 4000), strict=True):
        assert mi.error <= Precision(n).allowed(mi.value, mi.pmi_std)
    assert found[1].error < found[0].error
    assert abs(found[0].value - found[1].value) < 5.0 * math.hypot(*(mi.error for mi in found))


def test_the_control_variate_takes_most_of_the_error_away(monkeypatch):
    monkeypatch.setattr(module, "_LAST", 10)
    member = member_at((5, 3), 60, spread=1.0)
    found = member._by_rqmc(Precision(10**9))
    entropies = [
        np.mean([member._entropies(points, 0.0)[0].mean() for points in blocks])
        for blocks in member._points(0, 1024)
    ]
    assert found.error < 0.6 * np.std(entropies, ddof=1) / 4.0


def test_a_label_that_the_last_doubling_leaves_too_rough_says_so_and_is_refused(monkeypatch):
    monkeypatch.setattr(module, "_LAST", 10)
    member = member_at((3, 3), 7, spread=1.0, structure=987)
    precision = Precision(10_000, strict=True)
    mi = member._by_rqmc(precision)
    assert mi.error > precision.allowed(mi.value, mi.pmi_std)
    assert abs(mi.value - member.integrate(Precision(1000)).value) < 6.0 * mi.error
    module._information.cache_clear()
    rng = np.random.default_rng(0)
    try:
        with pytest.raises(ArithmeticError, match=r"has the error .* \(rqmc_se\), at most .* is"):
            make_label(member, precision, lambda n: member.sample(n, rng), checked=False)
    finally:
        module._information.cache_clear()


@pytest.mark.parametrize(("start", "stop"), [(512, 1024), (1000, 2048), (2048, 2600)])
def test_points_are_the_same_in_blocks_of_any_size_kept_or_not(monkeypatch, start, stop):
    kept = [np.vstack(list(module._scrambled(3, 9, start, stop, rows))) for rows in (7, 10_000)]
    monkeypatch.setattr(module, "_CACHED", 0)
    made = np.vstack(list(module._scrambled(3, 9, start, stop, 100)))
    assert made.shape == (stop - start, 9)
    for each in kept:
        assert each.tobytes() == made.tobytes()


def test_points_are_a_uniform_and_normals_and_differ_between_scrambles():
    points = [np.vstack(list(module._scrambled(k, 5, 0, 2048, 1000))) for k in range(2)]
    assert not np.intersect1d(*points).size
    for each in points:
        assert 0.0 < each[:, 0].min() < each[:, 0].max() < 1.0
        np.testing.assert_allclose(each[:, 0].mean(), 0.5, atol=1e-3)
        np.testing.assert_allclose(each[:, 1:].mean(axis=0), 0.0, atol=1e-3)
        np.testing.assert_allclose(np.cov(each[:, 1:].T), np.eye(4), atol=0.01)


def test_a_point_on_the_edge_of_the_cube_has_a_finite_normal_score():
    corner = module._normal(np.array([[0.0, 0.0, 1.0 - 2.0**-30]]))
    assert corner[0, 0] > 0.0
    np.testing.assert_allclose(corner[0, 1:], [-6.2, 6.2], atol=0.1)
    assert corner[0, 1] == pytest.approx(-corner[0, 2], rel=1e-9)


def test_blocks_hold_all_points_of_a_wide_member_and_stay_small():
    member = member_at((40, 60), components=64)
    scrambles = [list(blocks) for blocks in member._points(100, 700)]
    assert len(scrambles) == 16
    for blocks in scrambles:
        assert sum(map(len, blocks)) == 600
        assert all(each.shape[1] == 101 and len(each) <= 512 for each in blocks)
