"""What every map of one side must do: stay injective, also in the numbers that are stored."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mistdata.distributions import FAMILIES, TRANSFORMS
from mistdata.distributions.transforms import coordinatewise, embeddings

SINGLE = 2.0**-24  # greatest relative rounding error of single precision
NAMES = sorted(TRANSFORMS)
every_map = pytest.mark.parametrize("name", NAMES)
square = pytest.mark.parametrize(
    "name", [name for name in NAMES if not issubclass(TRANSFORMS[name], embeddings.Embedding)]
)
monotone = pytest.mark.parametrize("name", [kind.name for kind in coordinatewise.TRANSFORMS])
each_side = pytest.mark.parametrize("side", ["x", "y"])

# maps whose values lie within single precision for whatever single precision holds up to 1e30
UNBOUNDED = [
    name
    for name in NAMES
    if name not in {"normal-cdf", "logistic", "exp", "power", "spiral", "swiss-roll", "arc"}
]
# multiples of SINGLE (1 + |x|) by which a stored row may come back elsewhere; Φ is flat at 4
RETURN = {"normal-cdf": 20_000.0, "linear": 100.0, "spiral": 60.0, "arc": 60.0}


def drawn(name, seed, side="x", most=8):
    """A map from its published priors, of random dimensions."""
    rng = np.random.default_rng(seed)
    kind = TRANSFORMS[name]
    return kind.draw(int(rng.integers(kind.least_dim, most + 1)), side, rng)


def accepted(name, values):
    """Carry numbers within ±5.4 to where a map accepts them."""
    if name == "swiss-roll":
        return (values + 5.5) / 11.0
    if name == "power":
        return np.where(np.abs(values) < 1e-9, 0.0, values)
    return values


def typical(transform, n, seed):
    """Standard normal rows, as far as the map accepts them."""
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((n, transform.dim_in))
    return accepted(transform.name, np.clip(values, -5.4, 5.4))


def test_the_registry_is_keyed_by_name():
    assert {"identity", "asinh", "half-cube", "wiggly", "normal-cdf"} <= TRANSFORMS.keys()
    assert len(TRANSFORMS) == 25
    for name, kind in TRANSFORMS.items():
        assert kind.name == name
        assert kind.formula
        assert "\n" not in kind.formula


@every_map
@given(data=st.data(), seed=st.integers(0, 2**32), side=st.sampled_from(["x", "y"]))
@settings(max_examples=30)
def test_the_inverse_undoes_the_map(name, data, seed, side):
    transform = drawn(name, seed, side)
    rows = st.lists(st.floats(-5, 5), min_size=transform.dim_in, max_size=transform.dim_in)
    values = accepted(name, np.array(data.draw(st.lists(rows, min_size=1, max_size=6))))
    before = values.tobytes()
    mapped = transform.forward(values)
    assert mapped.dtype == np.float64
    assert mapped.shape == (len(values), transform.dim_out)
    assert values.tobytes() == before
    before = mapped.tobytes()
    again = transform.inverse(mapped)
    assert mapped.tobytes() == before
    assert again.dtype == np.float64
    # the slope of Φ at 5 is 1.5e-6: one rounding of Φ moves x by 1e-10
    np.testing.assert_allclose(again, values, rtol=1e-10, atol=1e-10)


@every_map
@each_side
def test_the_inverse_undoes_the_map_as_it_is_stored(name, side):
    for seed in range(30):
        transform = drawn(name, seed, side)
        values = typical(transform, 300, seed)
        stored = transform.forward(values).astype(np.float32)
        error = np.abs(transform.inverse(stored) - values)
        scale = 1.0 + np.abs(values).max(axis=1, keepdims=True)
        assert (error <= RETURN.get(name, 30.0) * SINGLE * scale).all(), transform


@every_map
def test_storing_makes_no_ties(name):
    for seed in range(20):
        transform = drawn(name, seed)
        stored = transform.forward(typical(transform, 500, seed)).astype(np.float32)
        columns = [len(np.unique(column)) for column in stored.T]
        assert min(columns) >= 498  # two coincidences among 500 are birthdays
        assert len(np.unique(stored, axis=0)) == 500


@pytest.mark.parametrize("name", UNBOUNDED)
@each_side
def test_heavy_tails_survive_the_round_trip(name, side):
    for seed in range(5):
        transform = drawn(name, seed, side, most=5)
        rng = np.random.default_rng(seed)
        shape = (200, transform.dim_in)
        values = rng.standard_normal(shape) * 10.0 ** rng.uniform(-8, 30, shape)
        mapped = transform.forward(values)
        assert np.isfinite(mapped).all()
        if name != "half-cube":
            assert np.isfinite(mapped.astype(np.float32)).all()
        again = transform.inverse(mapped)
        if name in {"identity", "asinh", "half-cube"}:
            np.testing.assert_allclose(again, values, rtol=1e-10)
        elif name == "wiggly":
            np.testing.assert_allclose(again, values, rtol=1e-10, atol=1e-13)
        else:  # mixing rounds a column in the units of its row
            error = np.abs(again - values).max(axis=1) / (1.0 + np.abs(values).max(axis=1))
            assert error.max() < 1e-12


@every_map
@each_side
def test_strided_views_map_like_copies(name, side):
    transform = drawn(name, 1, side)
    block = np.repeat(typical(transform, 50, 8), 3, axis=1)
    view = block[:, ::3]
    assert not view.flags.c_contiguous
    assert (transform.forward(view) == transform.forward(view.copy())).all()


@monotone
@each_side
def test_columns_map_by_themselves_and_strictly_monotonically(name, side):
    grid = np.linspace(-5.0, 5.0, 20_000)  # without 0, next to which powers are flat
    for seed in range(5):
        transform = TRANSFORMS[name].draw(3, side, np.random.default_rng(seed))
        mapped = transform.forward(np.stack([grid] * 3, axis=1))
        steps = np.diff(mapped, axis=0)
        assert ((steps > 0).all(axis=0) | (steps < 0).all(axis=0)).all()
        if name != "scale":
            assert (steps > 0).all()
        moved = np.stack([grid, grid[::-1], np.full_like(grid, 0.5)], axis=1)
        assert (transform.forward(moved)[:, 0] == mapped[:, 0]).all()


@every_map
def test_the_derivative_has_full_rank(name):
    step = 1e-5
    for seed in range(10):
        transform = drawn(name, seed, most=5)
        points = np.random.default_rng(seed).standard_normal((20, transform.dim_in))
        # powers have the slope 0 at 0, and Φ is flat far out
        points = accepted(name, np.copysign(np.clip(np.abs(points), 0.2, 2.5), points))
        columns = []
        for j in range(transform.dim_in):
            ahead, behind = points.copy(), points.copy()
            ahead[:, j] += step
            behind[:, j] -= step
            columns.append((transform.forward(ahead) - transform.forward(behind)) / (2 * step))
        derivative = np.stack(columns, axis=2)
        assert np.linalg.svd(derivative, compute_uv=False).min() > 1e-3, transform


@every_map
@each_side
def test_stored_maps_keep_the_pointwise_information(name, side):
    """E ln p(x,y)/(p(x)p(y)) at what the inverse makes of the stored rows is what it was."""
    for seed in range(4):
        transform = drawn(name, 100 + seed, side, most=5)
        if transform.dim_in == 1:
            member = FAMILIES["gaussian-dense"](1, 1, rho=0.9)
        else:
            member = FAMILIES["gaussian-sparse"](
                transform.dim_in, transform.dim_in, strength=3.0, pairs=transform.dim_in
            )
        before = []
        if name == "swiss-roll":
            before = [TRANSFORMS["normal-cdf"](transform.dim_in, side)]
        x, y = member.sample(3000, np.random.default_rng(seed))
        if side == "y":
            x, y = y, x
        again = through([*before, transform], x)
        expected = member.pointwise_mutual_information(x, y).mean()
        assert expected > 0.5
        assert abs(member.pointwise_mutual_information(again, y).mean() - expected) < 1e-4


@pytest.mark.parametrize(
    "names",
    [
        ("coupling", "swirl", "lift", "scale"),
        ("graph", "rotation", "asinh"),
        ("spline", "linear", "radial", "roll", "coupling"),
        ("normal-cdf", "spiral", "half-cube", "duplicate", "cayley"),
        ("normal-cdf", "swiss-roll", "graph", "rotation"),
    ],
)
def test_chains_of_maps_keep_the_pointwise_information(names):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        maps, dim = [], 12
        for name in reversed(names):
            maps.insert(0, TRANSFORMS[name].draw(dim, "x", rng))
            dim = maps[0].dim_in
        member = FAMILIES["gaussian-sparse"](dim, dim, strength=3.0, pairs=2)
        x, y = member.sample(3000, rng)
        expected = member.pointwise_mutual_information(x, y).mean()
        found = member.pointwise_mutual_information(through(maps, x), y).mean()
        assert abs(found - expected) < 1e-4


def through(maps, values):
    """Map rows, store them in single precision, and map them back."""
    for each in maps:
        values = each.forward(values)
    values = values.astype(np.float32)
    for each in reversed(maps):
        values = each.inverse(values)
    return values


@every_map
@each_side
def test_equal_parameters_make_equal_maps(name, side):
    transform = drawn(name, 5, side)
    kind = TRANSFORMS[name]
    values = typical(transform, 40, 6)
    again = kind(transform.dim_out, side, **transform.theta)
    assert again.forward(values).tobytes() == transform.forward(values).tobytes()
    rebuilt = eval(repr(transform), {kind.__name__: kind})
    assert repr(rebuilt) == repr(transform)
    assert rebuilt.forward(values).tobytes() == transform.forward(values).tobytes()


@every_map
def test_another_structure_makes_another_map(name):
    kind = TRANSFORMS[name]
    if "structure" not in kind.parameters:
        return
    transform = kind.draw(8, "x", np.random.default_rng(3))
    values = typical(transform, 5, 3)
    other = kind(8, "x", **{**transform.theta, "structure": transform.theta["structure"] + 1})
    assert (other.forward(values) != transform.forward(values)).any()


@every_map
@pytest.mark.parametrize("dim_out", [1, 2, 3, 16, 65])
def test_published_priors_lie_in_the_domain(name, dim_out):
    kind = TRANSFORMS[name]
    dim_out = max(dim_out, kind.least_dim)
    for parameter in kind.parameters.values():
        ends = parameter.published_prior(dim_out, dim_out).support(parameter.integer)
        assert all(parameter.contains(end, dim_out, dim_out) for end in ends)
    rng = np.random.default_rng(dim_out)
    transform = kind.draw(dim_out, "y", rng)
    assert transform.theta.keys() == kind.parameters.keys()
    assert all(getattr(transform, key) == value for key, value in transform.theta.items())
    assert (transform.dim_out, transform.side) == (dim_out, "y")
    assert 1 <= transform.dim_in <= dim_out
    transform.forward(typical(transform, 5, 0))


@square
def test_square_maps_keep_the_number_of_columns(name):
    assert drawn(name, 0).dim_in == drawn(name, 0).dim_out


@every_map
def test_the_ends_of_every_domain_make_maps(name):
    kind = TRANSFORMS[name]
    middle = kind.draw(6, "x", np.random.default_rng(0)).theta
    for key, parameter in kind.parameters.items():
        for end, closed in zip(parameter.domain(6, 6), ("low", "high"), strict=True):
            if parameter.closed in {closed, "both"}:
                transform = kind(6, "x", **{**middle, key: end})
                rng = np.random.default_rng(1)
                values = accepted(name, 0.1 * rng.standard_normal((100, transform.dim_in)))
                again = transform.inverse(transform.forward(values).astype(np.float32))
                assert np.abs(again - values).max() < 2e-4
            else:
                with pytest.raises(ValueError, match=f"{name}: {key} must lie in"):
                    kind(6, "x", **{**middle, key: end})


@every_map
def test_callers_mistakes_are_refused(name):
    kind = TRANSFORMS[name]
    transform = kind.draw(4, "x", np.random.default_rng(0))
    theta = transform.theta
    with pytest.raises((ValueError, TypeError), match="side"):
        kind(4, "z", **theta)
    with pytest.raises(TypeError, match=f"{name}: needs the parameters"):
        kind(4, "x", **theta, surprise=1.0)
    for few in (kind.least_dim - 1, 0):
        with pytest.raises(
            ValueError, match=f"{name}: needs dim_out of at least {kind.least_dim}"
        ):
            kind.draw(few, "x", np.random.default_rng(0))
    with pytest.raises(TypeError, match=f"{name}: has no parameter surprise"):
        kind.draw(4, "x", np.random.default_rng(0), surprise=1.0)
    for apply, columns in ((transform.forward, transform.dim_in), (transform.inverse, 4)):
        with pytest.raises(ValueError, match=rf"{name}: expected values \(n, {columns}\)"):
            apply(np.full((3, columns + 1), 0.5))


@every_map
def test_ranges_replace_published_priors(name):
    kind = TRANSFORMS[name]
    given = kind.draw(5, "x", np.random.default_rng(0)).theta
    assert kind.draw(5, "x", np.random.default_rng(1), **given).theta == given
