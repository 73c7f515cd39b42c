"""What single maps of one side promise beyond being injective: their formulas and refusals."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.linalg import expm
from scipy.stats import norm

from mistdata.distributions import TRANSFORMS
from mistdata.distributions.transforms.embeddings import Embedding

each_side = pytest.mark.parametrize("side", ["x", "y"])
ORTHOGONAL = ["rotation", "cayley", "householder"]


def make(name, dim_out, side="x", **theta):
    return TRANSFORMS[name](dim_out, side, **theta)


def column(*values):
    return np.array(values, np.float64)[:, None]


def normal_rows(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


# ---- coordinatewise


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


@each_side
def test_wiggly_is_the_sum_of_sines(side):
    values = np.random.default_rng(9).standard_normal(5000) * np.logspace(-3, 9, 5000)
    values = values[:, None]
    found, expected = make("wiggly", 1, side).forward(values), wiggly_by_sines(values, side)
    assert (np.abs(found - expected) <= 4e-16 * (1.0 + 2.0 * np.abs(values))).all()


@each_side
def test_wiggly_at_the_poles_of_the_half_angle_tangent(side):
    values = np.pi * np.arange(-99.0, 100.0)[:, None]
    found = make("wiggly", 1, side).forward(values)
    np.testing.assert_allclose(found, wiggly_by_sines(values, side), rtol=0, atol=1e-13)


@each_side
def test_the_inverse_of_wiggly_converges_from_everywhere_in_a_period(side):
    values = np.linspace(-10.0 * np.pi, 10.0 * np.pi, 500_001)[:, None]
    wiggly = make("wiggly", 1, side)
    shifted = wiggly.forward(values + 20.0 * np.pi) - 20.0 * np.pi
    np.testing.assert_allclose(shifted, wiggly.forward(values), rtol=0, atol=1e-12)
    again = wiggly.inverse(wiggly.forward(values))
    np.testing.assert_allclose(again, values, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("side", "least"), [("x", 0.161), ("y", 0.533)])
def test_the_slope_of_wiggly_stays_above_its_bound(side, least):
    grid = np.linspace(-200.0, 200.0, 800_001)[:, None]
    step = 1e-5
    wiggly = make("wiggly", 1, side)
    slope = (wiggly.forward(grid + step) - wiggly.forward(grid - step)) / (2 * step)
    assert slope.min() > least - 1e-9
    bound = 1.0 - sum(abs(a * b) for a, b, _ in wiggly.sines[side])
    assert bound == pytest.approx(least, abs=1e-12)


def test_coordinatewise_maps_have_the_stated_values():
    four = column(-4.0, 0.0, 4.0)
    assert make("half-cube", 1).forward(four).tolist() == [[-8.0], [0.0], [8.0]]
    asinh = np.log(four + np.sqrt(four**2 + 1.0))
    np.testing.assert_allclose(make("asinh", 1).forward(four), asinh, atol=1e-14)
    two_sided = 0.9544997361036416  # P(|Z| < 2), tabulated
    low, high = make("normal-cdf", 1, "y").forward(column(-2.0, 2.0))[:, 0]
    assert high - low == pytest.approx(two_sided, abs=1e-15)
    root = make("power", 1, exponent=0.5).forward(four)
    assert root.tolist() == [[-2.0], [0.0], [2.0]]
    same = make("power", 1, exponent=1.5).forward(four)
    np.testing.assert_allclose(same, make("half-cube", 1).forward(four), rtol=1e-15)
    doubled = make("exp", 1, rate=np.log(2.0)).forward(column(-1.0, 3.0))
    np.testing.assert_allclose(doubled, column(0.5, 8.0), rtol=1e-15)
    odds = make("logistic", 1).forward(column(np.log(3.0), -np.log(4.0)))
    np.testing.assert_allclose(odds, column(0.75, 0.2), rtol=1e-15)


@pytest.mark.parametrize("value", [5.42, 40.0, -14.3, -40.0])
def test_normal_cdf_refuses_what_single_precision_would_saturate(value):
    normal_cdf = make("normal-cdf", 1)
    with pytest.raises(ValueError, match=r"normal-cdf: .* in single precision"):
        normal_cdf.forward(column(0.3, value))
    inside = column(0.3, value * (1 - 0.01) if abs(value) < 20 else 0.0)
    stored = normal_cdf.forward(inside).astype(np.float32)
    assert stored.min() > 0.0 and stored.max() < 1.0
    assert np.isfinite(normal_cdf.inverse(stored)).all()


@pytest.mark.parametrize(
    ("name", "distribution", "ends"),
    [
        ("normal-cdf", norm.cdf, (5.3, 5.5)),
        ("normal-cdf", norm.cdf, (-14.4, -14.0)),
        ("logistic", lambda x: 1.0 / (1.0 + np.exp(-x)), (17.0, 17.6)),
        ("logistic", lambda x: 1.0 / (1.0 + np.exp(-x)), (-104.5, -103.0)),
    ],
)
def test_distribution_functions_accept_exactly_what_stays_off_0_and_1(name, distribution, ends):
    accepted = []
    for value in np.linspace(*ends, 401):
        saturates = np.float32(distribution(value)) in (0.0, 1.0)
        try:
            make(name, 1).forward(column(value))
        except ValueError:
            assert saturates
        else:
            assert not saturates
            accepted.append(value)
    assert 0 < len(accepted) < 401


def test_values_outside_the_range_are_refused():
    for name in ("normal-cdf", "logistic"):
        for end in (0.0, 1.0, -0.1, 1.1, np.nan):
            with pytest.raises(ValueError, match=r"the inverse needs values in \(0, 1\)"):
                make(name, 1).inverse(column(0.5, end))
    with pytest.raises(ValueError, match=r"exp: the inverse needs values > 0"):
        make("exp", 1, rate=1.0).inverse(column(0.5, 0.0))


def test_values_that_leave_single_precision_are_refused():
    with pytest.raises(ValueError, match=r"half-cube: .* finite"):
        make("half-cube", 1).forward(column(1e300))
    for value in (-88.0, 89.0):
        with pytest.raises(ValueError, match=r"exp: needs \|x\| < 87\.3"):
            make("exp", 1, rate=1.0).forward(column(0.0, value))
        make("exp", 1, rate=0.5).forward(column(0.0, value))
    power = make("power", 1, exponent=2.0)
    assert power.forward(column(0.0, 1e-18, -1e18)).astype(np.float32).all() == 0
    for value in (1e-20, -1e-20, 1e20, -1e20, 1e200):
        with pytest.raises(ValueError, match=r"power: .* single precision"):
            power.forward(column(0.0, value))
    for name, theta in (("scale", {"spread": 9.0, "shift": 1.0}), ("linear", {"condition": 1.0})):
        with pytest.raises(ValueError, match=f"{name}: .* finite in single precision"):
            make(name, 2, **theta, structure=0).forward(np.full((3, 2), 1e39))


def test_scale_draws_factors_of_either_sign_and_shifts():
    scale = make("scale", 4000, spread=10.0, shift=2.0, structure=3)
    zero, one = scale.forward(np.stack([np.zeros(4000), np.ones(4000)]))
    factors, shifts = one - zero, zero / (one - zero)
    exponents = np.log10(np.abs(factors))
    for sample, reach in ((exponents, 1.0), (shifts, 2.0)):
        assert np.abs(sample).max() <= reach * (1 + 1e-12)
        grid = np.sort(sample) / (2.0 * reach) + 0.5
        assert np.abs(grid - np.arange(0.5, 4000) / 4000).max() < 0.035  # KS, p = 1e-4
    assert 0.45 < (factors > 0).mean() < 0.55


def test_the_slopes_of_a_spline_are_bounded_and_integrate_to_it():
    spline = make("spline", 3, slope=4.0, structure=11)
    knots = np.arange(-6.0, 7.0) * 0.5
    step = 1e-6
    slopes = (
        spline.forward(np.stack([knots + step] * 3, axis=1))
        - spline.forward(np.stack([knots - step] * 3, axis=1))
    ) / (2 * step)
    assert slopes.min() > 0.25 - 1e-5 and slopes.max() < 4.0 + 1e-5
    assert slopes.std() > 0.5
    for j in range(3):
        for x in (-40.0, -3.0, -1.7, -0.2, 0.0, 0.6, 2.9, 3.0, 17.0):
            found = spline.forward(np.full((1, 3), x))[0, j]
            inner = knots[(knots > min(x, 0.0)) & (knots < max(x, 0.0))]
            area, _ = quad(np.interp, 0.0, x, (knots, slopes[:, j]), points=inner, limit=100)
            assert found == pytest.approx(area, abs=1e-5 * (1.0 + abs(x)))


# ---- mixing


@pytest.mark.parametrize("name", ORTHOGONAL)
@pytest.mark.parametrize("d", [1, 2, 7, 40])
def test_orthogonal_maps_keep_lengths_and_angles(name, d):
    transform = TRANSFORMS[name].draw(d, "x", np.random.default_rng(d))
    values = normal_rows(50, d)
    mapped = transform.forward(values)
    np.testing.assert_allclose(mapped @ mapped.T, values @ values.T, atol=1e-12)


def test_rotations_follow_the_haar_measure():
    q = np.stack([make("rotation", 3, structure=s).matrix for s in range(2000)])
    # 2000 matrices: standard errors are below .025; QR without the sign fix has E Q_11 = -.5
    assert np.abs(q.mean(axis=0)).max() < 0.06
    assert np.abs((q**2).mean(axis=0) - 1.0 / 3.0).max() < 0.03
    assert (np.trace(q, axis1=1, axis2=2) ** 2).mean() == pytest.approx(1.0, abs=0.15)
    assert np.linalg.det(q).mean() == pytest.approx(0.0, abs=0.1)


def test_cayley_comes_from_a_skew_symmetric_matrix_of_the_stated_size():
    sizes = []
    for structure in range(300):
        q = make("cayley", 5, strength=0.3, structure=structure).matrix
        a = np.linalg.solve(np.eye(5) + q, np.eye(5) - q)
        np.testing.assert_allclose(a, -a.T, atol=1e-12)
        sizes.append((a**2).sum())
    # 20 entries of variance s²/d, in equal pairs
    assert np.mean(sizes) == pytest.approx(0.3**2 * 4, rel=0.1)


@pytest.mark.parametrize("reflections", [1, 2, 3, 5])
def test_householder_reflects_as_often_as_stated(reflections):
    q = make("householder", 6, reflections=reflections, structure=1).matrix
    assert np.linalg.det(q) == pytest.approx((-1.0) ** reflections)
    assert np.linalg.matrix_rank(q - np.eye(6), tol=1e-10) == reflections


@pytest.mark.parametrize("condition", [1.0, 7.0, 1000.0])
def test_linear_has_the_stated_condition_number(condition):
    for structure in range(20):
        linear = make("linear", 5, condition=condition, structure=structure)
        stretches = np.linalg.svd(linear.forward(np.eye(5)), compute_uv=False)
        assert stretches[0] == pytest.approx(condition**0.5)
        assert stretches[-1] == pytest.approx(condition**-0.5)


def test_permutation_moves_whole_columns():
    values = normal_rows(20, 6)
    mapped = make("permutation", 6, structure=2).forward(values)
    assert sorted(map(tuple, mapped.T)) == sorted(map(tuple, values.T))
    assert (mapped != values).any()


@pytest.mark.parametrize("d", [2, 3, 6])
def test_coupling_moves_every_column_and_is_not_linear(d):
    coupling = make("coupling", d, layers=2, strength=0.8, structure=4)
    values = normal_rows(200, d)
    assert (np.abs(coupling.forward(values) - values).max(axis=0) > 0.1).all()
    bent = (
        coupling.forward(values) + coupling.forward(-values) - 2.0 * coupling.forward(0 * values)
    )
    assert (np.abs(bent).max(axis=0) > 0.1).all()
    deeper = make("coupling", d, layers=4, strength=0.8, structure=4)
    ahead = values.copy()
    ahead[:, 0] += 1.0
    assert (np.abs(deeper.forward(ahead) - deeper.forward(values)).max(axis=0) > 0.01).all()


# ---- bending


@pytest.mark.parametrize(
    ("d", "speed", "plane"), [(3, 1.0, 0), (3, 1.0, 1), (5, 0.4, 3), (2, 2.0, 0)]
)
def test_spiral_is_the_exponential_of_the_benchmark(d, speed, plane):
    generator = np.zeros((d, d))
    generator[plane, plane + 1], generator[plane + 1, plane] = -1.0, 1.0
    values = 2.0 * normal_rows(20, d)
    expected = [expm(generator * (speed / d) * (row @ row)) @ row for row in values]
    found = make("spiral", d, speed=speed, plane=plane).forward(values)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_the_last_plane_of_a_spiral_closes_the_cycle():
    spiral = make("spiral", 3, speed=3.0 * np.pi / 2.0, plane=2)
    np.testing.assert_allclose(
        spiral.forward(np.array([[0.0, 0.0, 1.0]])), [[1.0, 0.0, 0.0]], atol=1e-15
    )


def test_spiral_refuses_rows_so_long_that_rounding_loses_the_angle():
    spiral = make("spiral", 2, speed=1.0, plane=0)
    inside = np.array([[1.0, 2.0], [300.0, 300.0]])
    error = spiral.inverse(spiral.forward(inside).astype(np.float32)) - inside
    assert np.abs(error).max() < 0.02 * 450.0
    for value in (400.0, 1e30):
        with pytest.raises(ValueError, match=r"spiral: .* loses the angle"):
            spiral.forward(np.array([[1.0, 2.0], [value, value]]))


@pytest.mark.parametrize("d", [2, 3, 8])
def test_swirl_is_an_exponential_of_orthonormal_planes(d):
    swirl = make("swirl", d, angle=3.0, scale=1.3, structure=2)
    j = swirl.generator
    np.testing.assert_allclose(j, -j.T, atol=1e-14)
    np.testing.assert_allclose(j @ j @ j, -j, atol=1e-14)
    assert np.linalg.matrix_rank(j) == 2 * (d // 2)
    values = normal_rows(20, d)
    angles = 3.0 * np.tanh((values**2).mean(axis=1) / 1.3**2)
    expected = [expm(angle * j) @ row for angle, row in zip(angles, values, strict=True)]
    np.testing.assert_allclose(swirl.forward(values), expected, atol=1e-13)


@pytest.mark.parametrize("name", ["spiral", "swirl"])
def test_twists_keep_lengths_and_volume(name):
    transform = TRANSFORMS[name].draw(4, "x", np.random.default_rng(5))
    points = normal_rows(10, 4)
    mapped = transform.forward(points)
    np.testing.assert_allclose((mapped**2).sum(axis=1), (points**2).sum(axis=1), rtol=1e-13)
    step = 1e-5 * np.eye(4)
    sides = [transform.forward(points + h) - transform.forward(points - h) for h in step]
    volume = np.linalg.det(np.stack(sides, axis=2) / 2e-5)
    np.testing.assert_allclose(volume, 1.0, atol=1e-6)


@pytest.mark.parametrize("stretch", [0.2, 1.0, 5.0])
def test_radial_stretches_rays_by_its_formula(stretch):
    radial = make("radial", 3, stretch=stretch, scale=0.7)
    values = normal_rows(200, 3) * np.logspace(-12, 12, 200)[:, None]
    mapped = radial.forward(values)
    before, after = (np.linalg.norm(each, axis=1) / 3**0.5 / 0.7 for each in (values, mapped))
    near = before < 300.0
    expected = np.arcsinh(stretch * np.sinh(before[near]))
    np.testing.assert_allclose(after[near], expected, rtol=1e-13)
    np.testing.assert_allclose(after[~near], before[~near] + np.log(stretch), rtol=1e-13)
    cosines = (values * mapped).sum(axis=1) / (before * after * 3.0 * 0.7**2)
    np.testing.assert_allclose(cosines, 1.0, rtol=1e-13)
    undo = make("radial", 3, stretch=1.0 / stretch, scale=0.7)
    np.testing.assert_allclose(undo.forward(mapped), values, rtol=1e-12)
    assert not radial.forward(np.zeros((1, 3))).any()


# ---- embeddings


def test_swiss_roll_has_the_points_of_the_benchmark():
    # u = 1/6 and 1/2: t = 2π and 3π
    found = make("swiss-roll", 3).forward(np.array([[1 / 6, 7.0], [0.5, 8.0]]))
    expected = [[2 * np.pi / 21, 0.0, 7.0], [-3 * np.pi / 21, 0.0, 8.0]]
    np.testing.assert_allclose(found, expected, atol=1e-15)


def test_swiss_roll_refuses_what_is_not_a_probability():
    roll = make("swiss-roll", 3)
    for value in (0.0, 1.0, -0.5, 1.5):
        with pytest.raises(ValueError, match=r"swiss-roll: needs a first column in \(0, 1\)"):
            roll.forward(np.array([[0.5, 3.0], [value, 3.0]]))


def test_swiss_roll_resolves_its_ends_and_takes_points_next_to_them():
    roll = make("swiss-roll", 2)
    small = np.logspace(-14, -7, 500)
    ends = column(*small, *(1.0 - small))
    again = roll.inverse(roll.forward(ends).astype(np.float32))
    assert again.min() > 0.0 and again.max() < 1.0
    np.testing.assert_allclose(again, ends, atol=2e-8)
    for u in (-1e-7, 1.0 + 1e-7):
        t = 1.5 * np.pi * (1.0 + 2.0 * u)
        again = roll.inverse(np.array([[t * np.cos(t) / 21.0, t * np.sin(t) / 21.0]]))
        assert 0.0 < again[0, 0] < 1.0
        assert again[0, 0] == pytest.approx(u, abs=2e-7)
    for u in (-0.01, 1.01):
        t = 1.5 * np.pi * (1.0 + 2.0 * u)
        with pytest.raises(ValueError, match="swiss-roll: the inverse needs rows in the range"):
            roll.inverse(np.array([[t * np.cos(t) / 21.0, t * np.sin(t) / 21.0]]))


def test_roll_resolves_both_tails_in_single_precision():
    roll = make("roll", 2, turns=2.0, width=1.5)
    values = column(*np.sort(np.r_[-np.logspace(-3, 37, 300), np.logspace(-3, 37, 300)]))
    stored = roll.forward(values).astype(np.float32)
    radius = np.hypot(*stored.T.astype(np.float64))
    assert (np.diff(radius) > 0).all()
    np.testing.assert_allclose(roll.inverse(stored), values, rtol=2e-7, atol=2e-7)
    a, b = roll.forward(column(1.5))[0]
    assert np.hypot(a, b) == pytest.approx(1.0 + 2.0**0.5)
    assert np.arctan2(b, a) + 2.0 * np.pi == pytest.approx(2.0 * np.pi / 2.0**0.5)
    for value in (1e38, -1e38):
        with pytest.raises(ValueError, match=r"roll: .* single precision"):
            roll.forward(column(0.0, value))


def test_arc_lies_on_the_unit_circle():
    arc = make("arc", 2, angle=3.0)
    values = normal_rows(100, 1)
    points = arc.forward(values)
    np.testing.assert_allclose(np.hypot(*points.T), 1.0, rtol=1e-15)
    expected = 3.0 * values[:, 0] / np.sqrt(1.0 + values[:, 0] ** 2)
    np.testing.assert_allclose(np.arctan2(points[:, 1], points[:, 0]), expected, rtol=1e-12)


@pytest.mark.parametrize("angle", [0.3, 3.0])
def test_arc_refuses_what_single_precision_could_not_tell_along_it(angle):
    arc = make("arc", 2, angle=angle)
    limit = 400.0 * angle**0.5
    again = arc.inverse(arc.forward(column(-limit, limit)).astype(np.float32))
    np.testing.assert_allclose(again, column(-limit, limit), rtol=0.02)
    for value in (-1.01 * limit, 1e30):
        with pytest.raises(ValueError, match=r"arc: .* single precision"):
            arc.forward(column(0.0, value))


def test_duplicate_repeats_distinct_columns():
    values = normal_rows(10, 4)
    mapped = make("duplicate", 7, extra=3, structure=5).forward(values)
    assert (mapped[:, :4] == values).all()
    repeated = [np.flatnonzero((values == each[:, None]).all(axis=0)) for each in mapped[:, 4:].T]
    assert all(len(each) == 1 for each in repeated)
    assert len(np.unique(repeated)) == 3


def test_graph_stands_beside_its_arguments_and_is_not_linear():
    graph = make("graph", 5, extra=3, gain=2.0, structure=1)
    values = normal_rows(2000, 2)
    mapped = graph.forward(values)
    assert (mapped[:, :2] == values).all()
    design = np.column_stack([np.ones(2000), values])
    rest = mapped[:, 2:] - design @ np.linalg.lstsq(design, mapped[:, 2:], rcond=None)[0]
    assert (rest.var(axis=0) > 0.03 * mapped[:, 2:].var(axis=0)).all()
    assert 0.1 < mapped[:, 2:].std() < 2.0


def test_lift_keeps_lengths_and_angles():
    values = normal_rows(30, 3)
    mapped = make("lift", 7, extra=4, structure=3).forward(values)
    np.testing.assert_allclose(mapped @ mapped.T, values @ values.T, atol=1e-13)
    assert (np.abs(mapped).max(axis=0) > 0.01).all()


@pytest.mark.parametrize(
    "name", [n for n, kind in TRANSFORMS.items() if issubclass(kind, Embedding)]
)
def test_embeddings_refuse_to_invert_rows_outside_their_range(name):
    transform = TRANSFORMS[name].draw(4, "x", np.random.default_rng(2))
    values = 0.1 + 0.8 * np.random.default_rng(3).random((5, transform.dim_in))
    mapped = transform.forward(values)
    mapped += 0.01 * np.random.default_rng(4).standard_normal(mapped.shape)
    with pytest.raises(ValueError, match=f"{name}: the inverse needs rows in the range"):
        transform.inverse(mapped)
