"""Constructions keep or add information exactly, and survive the way through JSON."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mistdata.distributions import FAMILIES, TRANSFORMS, Choice, Uniform
from mistdata.distributions.base import Precision
from mistdata.distributions.combine import (
    Independent,
    Padded,
    Product,
    Transformed,
    describe,
    draw_maps,
    family_of,
    fill,
    rebuild,
    transformed,
)

ROWS = 20_000
seeds = st.integers(0, 2**32)


def pair(rho=0.6):
    return FAMILIES["gaussian-bivariate"](1, 1, rho=rho)


def cloud():
    return FAMILIES["student-dense"](2, 3, rho=0.3, nu=4.0)


def require_agreement(member, seed=1):
    """The pointwise information of a sample averages to the information: |z| < 5."""
    pointwise = member.pointwise_mutual_information(
        *member.sample(ROWS, np.random.default_rng(seed))
    )
    error = pointwise.std() / math.sqrt(ROWS)
    assert abs(pointwise.mean() - member.mutual_information().value) <= 5.0 * error


def test_a_product_adds_information_and_variance():
    both = Product([pair(0.6), cloud(), pair(-0.3)])
    assert (both.dim_x, both.dim_y) == (4, 5)
    parts = [part.mutual_information() for part in both.parts]
    assert both.mutual_information().value == pytest.approx(sum(mi.value for mi in parts))
    require_agreement(both)
    pairs = Product([pair(0.6), pair(-0.3)]).mutual_information()
    assert pairs.pmi_std == pytest.approx(math.hypot(0.6, 0.3))
    assert both.mutual_information().pmi_std is None  # one part does not know its own


def test_the_blocks_of_a_product_are_independent():
    x, y = Product([pair(0.9), pair(0.9)]).sample(ROWS, np.random.default_rng(2))
    correlation = np.corrcoef(np.hstack((x, y)), rowvar=False)
    expected = np.array([[1, 0, 0.9, 0], [0, 1, 0, 0.9], [0.9, 0, 1, 0], [0, 0.9, 0, 1]])
    assert np.abs(correlation - expected).max() < 5.0 / math.sqrt(ROWS)


def test_padding_leaves_the_information_and_adds_independent_normals():
    wide = Padded(cloud(), pad_x=2, pad_y=1)
    assert (wide.dim_x, wide.dim_y) == (4, 4)
    assert wide.mutual_information() == cloud().mutual_information()
    x, y = wide.sample(ROWS, np.random.default_rng(3))
    noise = np.hstack((x[:, 2:], y[:, 3:]))
    assert np.abs(noise.T @ noise / ROWS - np.eye(3)).max() < 5.0 * math.sqrt(2.0 / ROWS)
    require_agreement(wide)
    with pytest.raises(ValueError, match="pad_x and pad_y must be >= 0"):
        Padded(cloud(), -1, 0)


def test_independent_sides_keep_their_margins_and_lose_all_information():
    apart = Independent(pair(0.9))
    mi = apart.mutual_information()
    assert (mi.value, mi.error, mi.pmi_std) == (0.0, 0.0, 0.0)
    x, y = apart.sample(ROWS, np.random.default_rng(4))
    assert abs((x * y).mean()) < 5.0 / math.sqrt(ROWS)
    assert abs(x.var() - 1.0) < 5.0 * math.sqrt(2.0 / ROWS)
    assert (apart.pointwise_mutual_information(x, y) == 0.0).all()


def test_kinds_follow_the_columns():
    bits = FAMILIES["channel-bsc"].draw(1, 1, np.random.default_rng(0))
    assert bits.x_kind == Product([bits, bits]).x_kind == "discrete"
    assert Product([bits, pair()]).x_kind == "mixed"
    padded = Padded(bits, 1, 0)
    assert (padded.x_kind, padded.y_kind) == ("mixed", "discrete")
    assert Independent(bits).x_kind == Transformed(bits, [], []).x_kind == "discrete"


def chain(name, dim_out, rng):
    """A map of X and one of Y that end in dim_out columns."""
    return [draw_maps([("asinh", {}), (name, {})], dim_out, side, rng) for side in ("x", "y")]


@pytest.mark.parametrize("name", sorted(set(TRANSFORMS) - {"swiss-roll"}))
def test_every_map_keeps_the_information_also_in_single_precision(name):
    rng = np.random.default_rng(5)
    maps_x, maps_y = chain(name, max(4, TRANSFORMS[name].least_dim), rng)
    dims = maps_x[0].dim_in, maps_y[0].dim_in
    base = FAMILIES["gaussian-sparse"](*dims, strength=1.5, pairs=min(dims))
    seen = Transformed(base, maps_x, maps_y)
    assert seen.mutual_information() == base.mutual_information()
    x, y = seen.sample(4000, np.random.default_rng(6))
    assert (x.shape[1], y.shape[1]) == (seen.dim_x, seen.dim_y)
    exact = base.pointwise_mutual_information(*base.sample(4000, np.random.default_rng(6)))
    stored = seen.pointwise_mutual_information(x.astype(np.float32), y.astype(np.float32))
    allowed = Precision(n=4000).allowed(exact.mean(), exact.std())
    assert abs((stored - exact).mean()) < allowed


def test_the_swiss_roll_keeps_the_information_of_uniforms():
    base = FAMILIES["additive-uniform"](1, 1, epsilon=(0.2,))
    seen = Transformed(base, [TRANSFORMS["swiss-roll"].draw(2, "x", np.random.default_rng(0))], [])
    assert (seen.dim_x, seen.dim_y) == (2, 1)
    require_agreement(seen)


def test_maps_must_fit_together():
    with pytest.raises(ValueError, match="takes 3 columns, got 2"):
        Transformed(cloud(), [TRANSFORMS["asinh"](3, "x")], [])
    with pytest.raises(ValueError, match="needs at least 2 columns, got 1"):
        draw_maps([("rotation", {}), ("roll", {})], 1, "x", np.random.default_rng(0))
    identity = [TRANSFORMS["identity"](2, "x")]
    member = cloud()
    assert transformed(member, identity, []) is member


@settings(max_examples=60)
@given(st.sampled_from(sorted(FAMILIES)), st.integers(3, 20), st.integers(3, 20), seeds)
def test_filling_gives_any_dimensions_and_the_parameters_rebuild_the_member(name, m, n, seed):
    rng = np.random.default_rng(seed)
    member = fill(FAMILIES[name], m, n, Uniform(1, 6), {}, rng)
    if seed % 3 == 0:
        member = Independent(member)
    maps = [
        draw_maps([("spline", {}), ("permutation", {})], member.dim_x, "x", rng),
        draw_maps([("identity", {})], member.dim_y, "y", rng),
    ]
    member = transformed(member, *maps)
    assert (member.dim_x, member.dim_y) == (m, n)
    assert family_of(member) == name
    x, y = member.sample(12, np.random.default_rng(seed))
    assert (x.shape, y.shape) == ((12, m), (12, n))
    params = json.loads(json.dumps(describe(member)))
    again = rebuild(name, m, n, params)
    assert describe(again) == describe(member)
    same_x, same_y = again.sample(12, np.random.default_rng(seed))
    assert (same_x.tobytes(), same_y.tobytes()) == (x.tobytes(), y.tobytes())
    if member.has_density:
        pointwise = member.pointwise_mutual_information(x.astype(np.float32), y.astype(np.float32))
        assert np.isfinite(pointwise).all()


def test_filling_uses_as_many_blocks_as_asked_for_and_as_fit():
    rng = np.random.default_rng(7)
    family = FAMILIES["gaussian-bivariate"]
    member = fill(family, 5, 9, Choice((4,)), {"rho": 0.5}, rng)
    assert len(member.parts[0].parts) == 4
    assert (member.pad_x, member.pad_y) == (1, 5)
    assert member.mutual_information().value == pytest.approx(-2.0 * math.log(0.75))
    packed = fill(family, 3, 3, Choice((9,)), {}, rng)
    assert len(packed.parts) == 3
    with pytest.raises(ValueError, match="a block needs dim_x >= 2"):
        fill(FAMILIES["gaussian-2pair"], 1, 3, Choice((1,)), {}, rng)
