"""Samples, densities and information of every family hold each other to account.

Every test has a fixed seed; |z| < 5 has a false-alarm rate of 6e-7.
"""

import math

import numpy as np
import pytest

from mistdata.distributions import FAMILIES
from mistdata.distributions.base import Precision
from tests.distributions.references import every_row, member_of

ROWS = 20_000
every_family = pytest.mark.parametrize("name", sorted(FAMILIES))


def drawn(name, seed, dims=(3, 2)):
    family = FAMILIES[name]
    return family.draw(*family.shape.nearest(*dims), np.random.default_rng(seed))


def require_agreement(member, seed):
    """The mean of the pointwise MI over a sample is the MI, and its deviation the stated one."""
    if not member.has_density:
        return
    mi = member.mutual_information(Precision(n=1000, strict=True))
    pointwise = member.pointwise_mutual_information(
        *member.sample(ROWS, np.random.default_rng(seed))
    )
    deviation = pointwise.std()
    error = math.hypot(deviation / math.sqrt(ROWS), mi.error)
    assert abs(pointwise.mean() - mi.value) < 5.0 * error + 1e-12
    if mi.pmi_std is not None:
        # the variance of a sample variance, with the fourth moment of the sample itself
        fourth = ((pointwise - pointwise.mean()) ** 4).mean()
        spread = math.sqrt(max(fourth - deviation**4, 0.0) / ROWS)
        assert abs(deviation**2 - mi.pmi_std**2) < 6.0 * spread + 1e-6


@pytest.mark.parametrize("seed", [1, 2])
@every_family
def test_the_sampler_agrees_with_the_density_and_the_information(name, seed):
    require_agreement(drawn(name, seed), 100 + seed)


@every_row
def test_the_reference_members_agree_with_their_samples(row):
    require_agreement(member_of(row), 7)


@every_family
def test_single_precision_keeps_the_information(name):
    member = drawn(name, 3)
    if not member.has_density:
        return
    x, y = member.sample(2000, np.random.default_rng(31))
    exact = member.pointwise_mutual_information(x, y)
    stored = member.pointwise_mutual_information(x.astype(np.float32), y.astype(np.float32))
    allowed = Precision(n=2000).allowed(exact.mean(), exact.std())
    assert abs((stored - exact).mean()) < allowed


@every_family
def test_continuous_columns_have_no_ties_in_single_precision(name):
    member = drawn(name, 4)
    for side, kind in zip(
        member.sample(500, np.random.default_rng(41)), (member.x_kind, member.y_kind), strict=True
    ):
        if kind == "continuous":
            for column in side.astype(np.float32).T:
                # 500 values of 2^23 single-precision numbers coincide in one pair of 67
                assert len(np.unique(column)) >= 499


@every_family
def test_discrete_and_mixed_sides_have_ties(name):
    member = drawn(name, 5)
    for side, kind in zip(
        member.sample(5000, np.random.default_rng(51)), (member.x_kind, member.y_kind), strict=True
    ):
        if kind != "continuous":
            assert any(len(np.unique(column)) < 4950 for column in side.T)
