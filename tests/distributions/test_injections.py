"""Every continuous side of every family comes to normal scores and back without loss."""

import numpy as np
import pytest
from scipy.stats import kstest

from mistdata.distributions.combine import Independent, Padded, Product, transformed
from mistdata.distributions.families import FAMILIES
from mistdata.distributions.injections import Tabulated
from mistdata.distributions.transforms import TRANSFORMS

SIDES = [
    (name, side)
    for name, family in FAMILIES.items()
    for side in "xy"
    if getattr(family, f"{side}_kind") == "continuous"
]
EXACT_IN_MANY_COLUMNS = (
    "gaussian-", "student-", "pearson-ii", "uniform-ball", "mixture-inliers",
)  # fmt: skip
N = 4000


def member_of(name, seed=0, dim=3):
    family = FAMILIES[name]
    return family.draw(*family.shape.nearest(dim, dim), np.random.default_rng(seed))


def rows_of(member, side, n=N, seed=1):
    x, y = member.sample(n, np.random.default_rng(seed))
    return x if side == "x" else y


@pytest.mark.parametrize(("name", "side"), SIDES)
def test_a_side_comes_to_normal_scores_and_back(name, side):
    """KS distance of 4,000 rows: below 2.6/√n is a false alarm in 3e-6; tables add 1/√4096."""
    member = member_of(name)
    values = rows_of(member, side)
    injection = member.injection(side)
    latents = injection.forward(values)
    assert latents.shape == (N, injection.dim)
    assert np.isfinite(latents).all()
    again = injection.forward(injection.inverse(latents))
    assert np.abs(again - latents).max() < 1e-6
    limit = 2.6 / N**0.5 + (0 if injection.exact else 1.5 / 4096**0.5)
    for column in latents.T:
        assert kstest(column, "norm").statistic < limit


@pytest.mark.parametrize(
    ("name", "side"), [each for each in SIDES if each[0].startswith(EXACT_IN_MANY_COLUMNS)]
)
def test_an_exact_injection_makes_independent_normals(name, side):
    """Correlations of z and of z² between columns and of neighbouring radii, within 5 s.e."""
    member = member_of(name, seed=3)
    injection = member.injection(side)
    assert injection.exact
    latents = injection.forward(rows_of(member, side, seed=4))
    if injection.dim > 1:
        for power in (1, 2):
            correlation = np.corrcoef(latents.T**power)
            off = correlation[np.triu_indices(injection.dim, 1)]
            assert np.abs(off).max() < 5 / N**0.5
    assert abs((latents**2).sum(1).mean() - injection.dim) < 5 * (2 * injection.dim / N) ** 0.5


def test_constructions_inject_their_parts():
    gaussian, student = member_of("gaussian-dense"), member_of("student-identity")
    rng = np.random.default_rng(5)
    maps = [[TRANSFORMS[name].draw(dim, side, rng) for name in ("asinh", "rotation")]
            for dim, side in ((6, "x"), (6, "y"))]  # fmt: skip
    product = Product([gaussian, student])
    for member in (product, Padded(gaussian, 2, 1), Independent(student),
                   transformed(product, *maps)):  # fmt: skip
        for side in "xy":
            values = rows_of(member, side)
            injection = member.injection(side)
            latents = injection.forward(values)
            assert injection.exact
            assert latents.shape == values.shape
            assert np.abs(injection.inverse(latents) - values).max() < 1e-6 * np.abs(values).max()
            assert kstest(latents.ravel(), "norm").statistic < 2.6 / latents.size**0.5


def test_a_discrete_side_is_refused():
    with pytest.raises(ValueError, match="X is discrete; only a continuous side"):
        member_of("channel-bsc").injection("x")


def test_a_table_is_increasing_far_beyond_its_sample():
    rng = np.random.default_rng(6)
    table = Tabulated(rng.standard_cauchy((2000, 1)))
    values = np.concatenate([-np.logspace(9, -3, 500), np.logspace(-3, 9, 500)])[:, None]
    latents = table.forward(values)
    assert (np.diff(latents[:, 0]) > 0).all()
    np.testing.assert_allclose(table.inverse(latents), values, rtol=1e-6)
