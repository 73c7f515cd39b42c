"""Maps that keep the mutual information: bijections in the numbers that are stored."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import norm

from mistdata.distributions import TRANSFORMS

SIDES = ("x", "y")
every_map = pytest.mark.parametrize("name", sorted(TRANSFORMS))
each_side = pytest.mark.parametrize("side", SIDES)
bounded = arrays(
    np.float64, st.tuples(st.integers(1, 8), st.integers(1, 4)), elements=st.floats(-5, 5)
)


def wiggly_by_sines(values, side):
    """The wiggly map as it is written in the literature."""
    if side == "x":
        return (
            values
            + 0.4 * np.sin(values)
            + 0.2 * np.sin(1.7 * values + 1)
            + 0.03 * np.sin(3.3 * values - 2.5)
        )
    return (
        values
        - 0.4 * np.sin(0.4 * values)
        + 0.17 * np.sin(1.3 * values + 3.5)
        + 0.02 * np.sin(4.3 * values - 2.5)
    )


def test_the_registry_is_keyed_by_name():
    names = {"identity", "asinh", "half-cube", "wiggly", "normal-cdf"}
    assert TRANSFORMS.keys() == names
    assert all(TRANSFORMS[name].name == name and TRANSFORMS[name].formula for name in names)


@every_map
@each_side
@given(values=bounded)
def test_the_inverse_undoes_the_map(name, side, values):
    before = values.tobytes()
    mapped = TRANSFORMS[name].forward(values, side)
    assert mapped.dtype == np.float64
    assert mapped.shape == values.shape
    assert values.tobytes() == before
    again = TRANSFORMS[name].inverse(mapped, side)
    # the slope of Φ at 5 is 1.5e-6: one rounding of Φ moves x by 1e-10
    np.testing.assert_allclose(again, values, rtol=1e-10, atol=1e-10)


@every_map
@each_side
def test_the_map_is_strictly_increasing(name, side):
    grid = np.linspace(-5.0, 5.0, 20_001)
    assert (np.diff(TRANSFORMS[name].forward(grid, side)) > 0).all()


@pytest.mark.parametrize("name", ["identity", "asinh", "half-cube", "wiggly"])
@each_side
def test_heavy_tails_survive_the_round_trip(name, side):
    rng = np.random.default_rng(7)
    values = rng.standard_normal((400, 3)) * 10.0 ** rng.uniform(-8, 30, (400, 3))
    mapped = TRANSFORMS[name].forward(values, side)
    assert np.isfinite(mapped).all()
    again = TRANSFORMS[name].inverse(mapped, side)
    np.testing.assert_allclose(again, values, rtol=1e-10, atol=1e-13 if name == "wiggly" else 0.0)


@each_side
def test_strided_views_map_like_copies(side):
    block = np.random.default_rng(8).standard_normal((50, 9))
    for transform in TRANSFORMS.values():
        view = transform.forward(block[:, 2:6], side)
        assert (view == transform.forward(block[:, 2:6].copy(), side)).all()


@each_side
def test_wiggly_is_the_sum_of_sines(side):
    values = np.random.default_rng(9).standard_normal(5000) * np.logspace(-3, 9, 5000)
    found, expected = TRANSFORMS["wiggly"].forward(values, side), wiggly_by_sines(values, side)
    assert (np.abs(found - expected) <= 4e-16 * (1.0 + 2.0 * np.abs(values))).all()


@each_side
def test_wiggly_at_the_poles_of_the_half_angle_tangent(side):
    values = np.pi * np.arange(-99.0, 100.0)
    found = TRANSFORMS["wiggly"].forward(values, side)
    np.testing.assert_allclose(found, wiggly_by_sines(values, side), rtol=0, atol=1e-13)


@each_side
def test_the_inverse_of_wiggly_converges_from_everywhere_in_a_period(side):
    values = np.linspace(-10.0 * np.pi, 10.0 * np.pi, 500_001)
    wiggly = TRANSFORMS["wiggly"]
    shifted = wiggly.forward(values + 20.0 * np.pi, side) - 20.0 * np.pi
    np.testing.assert_allclose(shifted, wiggly.forward(values, side), rtol=0, atol=1e-12)
    again = wiggly.inverse(wiggly.forward(values, side), side)
    np.testing.assert_allclose(again, values, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("side", "least"), [("x", 0.161), ("y", 0.533)])
def test_the_slope_of_wiggly_stays_above_its_bound(side, least):
    grid = np.linspace(-200.0, 200.0, 800_001)
    step = 1e-5
    wiggly = TRANSFORMS["wiggly"]
    slope = (wiggly.forward(grid + step, side) - wiggly.forward(grid - step, side)) / (2 * step)
    assert slope.min() > least - 1e-9
    bound = 1.0 - sum(abs(a * b) for a, b, _ in wiggly.sines[side])
    assert bound == pytest.approx(least, abs=1e-12)


def test_the_maps_have_the_stated_values():
    four = np.array([-4.0, 0.0, 4.0])
    assert TRANSFORMS["half-cube"].forward(four, "x").tolist() == [-8.0, 0.0, 8.0]
    asinh = np.log(four + np.sqrt(four**2 + 1.0))
    np.testing.assert_allclose(TRANSFORMS["asinh"].forward(four, "x"), asinh, atol=1e-14)
    two_sided = 0.9544997361036416  # P(|Z| < 2), tabulated
    low, high = TRANSFORMS["normal-cdf"].forward(np.array([-2.0, 2.0]), "y")
    assert high - low == pytest.approx(two_sided, abs=1e-15)


@pytest.mark.parametrize("value", [5.42, 40.0, -14.3, -40.0])
def test_normal_cdf_refuses_what_single_precision_would_saturate(value):
    normal_cdf = TRANSFORMS["normal-cdf"]
    with pytest.raises(ValueError, match=r"normal-cdf: .* in single precision"):
        normal_cdf.forward(np.array([0.3, value]), "x")
    inside = np.array([0.3, value * (1 - 0.01) if abs(value) < 20 else 0.0])
    stored = normal_cdf.forward(inside, "x").astype(np.float32)
    assert stored.min() > 0.0 and stored.max() < 1.0


@pytest.mark.parametrize("ends", [(5.3, 5.5), (-14.4, -14.0)])
def test_normal_cdf_accepts_exactly_what_single_precision_keeps_off_0_and_1(ends):
    accepted = []
    for value in np.linspace(*ends, 401):
        saturates = np.float32(norm.cdf(value)) in (0.0, 1.0)
        try:
            TRANSFORMS["normal-cdf"].forward(np.array([value]), "x")
        except ValueError:
            assert saturates
        else:
            assert not saturates
            accepted.append(value)
    assert 0 < len(accepted) < 401


def test_values_outside_the_range_are_refused():
    with pytest.raises(ValueError, match=r"the inverse needs values in \(0, 1\)"):
        TRANSFORMS["normal-cdf"].inverse(np.array([0.5, 1.0]), "x")
    with pytest.raises(ValueError, match=r"half-cube: .* finite"):
        TRANSFORMS["half-cube"].forward(np.array([1e300]), "x")
