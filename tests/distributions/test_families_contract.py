"""What every family promises, checked over all of `FAMILIES`."""

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mistdata.distributions import FAMILIES, Uniform
from mistdata.distributions.base import ONE_BY_ONE, Precision, Shape
from mistdata.distributions.families.gaussian import GaussianDense, GaussianSparse
from mistdata.distributions.families.student import StudentIdentity
from mistdata.distributions.parameters import draw_theta

FAMILY_NAMES = sorted(FAMILIES)
every_family = pytest.mark.parametrize("name", FAMILY_NAMES)


seeds = st.integers(0, 2**32)
cases = st.tuples(st.integers(1, 9), st.integers(1, 9), seeds)
a_few = settings(max_examples=8)


def member_of(name, case):
    """A member of a family at small dimensions that it supports, drawn from its priors."""
    dim_x, dim_y, seed = case
    family = FAMILIES[name]
    return family.draw(*family.shape.nearest(dim_x, dim_y), np.random.default_rng(seed))


def at_four(name):
    """A family and dimensions of it near 4 x 4."""
    return FAMILIES[name], FAMILIES[name].shape.nearest(4, 4)


@every_family
@a_few
@given(case=cases, n=st.integers(1, 40), seed=seeds)
def test_samples_have_the_promised_shape_and_type_and_follow_the_seed(name, case, n, seed):
    member = member_of(name, case)
    x, y = member.sample(n, np.random.default_rng(seed))
    assert x.shape == (n, member.dim_x)
    assert y.shape == (n, member.dim_y)
    assert x.dtype == y.dtype == np.float64
    assert np.isfinite(x).all() and np.isfinite(y).all()
    again = member.sample(n, np.random.default_rng(seed))
    assert (x.tobytes(), y.tobytes()) == (again[0].tobytes(), again[1].tobytes())
    if member.x_kind == "continuous":
        assert x.tobytes() != member.sample(n, np.random.default_rng(seed + 1))[0].tobytes()


@every_family
@a_few
@given(case=cases)
def test_mutual_information_is_finite_and_as_exact_as_a_label_must_be(name, case):
    member = member_of(name, case)
    precision = Precision(n=100)
    mi = member.mutual_information(precision)
    assert type(mi.value) is float
    assert 0.0 <= mi.value < np.inf
    assert 0.0 <= mi.error <= precision.allowed(mi.value, mi.pmi_std)
    assert mi.pmi_std is None or 0.0 <= mi.pmi_std < np.inf
    assert member.mutual_information(precision) == mi
    if mi.error_kind in {"exact", "special_function"}:
        assert mi.error < 1e-10


@every_family
@a_few
@given(case=cases, seed=seeds)
def test_pointwise_information_is_finite_on_samples_also_in_single_precision(name, case, seed):
    member = member_of(name, case)
    if not member.has_density:
        with pytest.raises(NotImplementedError):
            member.pointwise_mutual_information(*member.sample(2, np.random.default_rng(0)))
        return
    x, y = member.sample(20, np.random.default_rng(seed))
    for kind in (np.float64, np.float32):
        pointwise = member.pointwise_mutual_information(x.astype(kind), y.astype(kind))
        assert pointwise.shape == (20,)
        assert pointwise.dtype == np.float64
        assert np.isfinite(pointwise).all()


@every_family
@a_few
@given(case=cases)
def test_repr_rebuilds_the_member_and_theta_survives_json(name, case):
    member = member_of(name, case)
    again = eval(repr(member), {type(member).__name__: type(member)})
    assert (again.dim_x, again.dim_y, again.theta) == (member.dim_x, member.dim_y, member.theta)
    read = json.loads(json.dumps(member.theta))
    theta = {key: tuple(v) if isinstance(v, list) else v for key, v in read.items()}
    assert theta == member.theta
    assert type(member)(member.dim_x, member.dim_y, **theta).theta == member.theta


@every_family
@a_few
@given(case=cases)
def test_parameters_become_attributes_and_lie_in_their_published_ranges(name, case):
    member = member_of(name, case)
    for key, parameter in member.parameters.items():
        value = getattr(member, key)
        prior = parameter.published_prior(member.dim_x, member.dim_y)
        for each in value if parameter.per else (value,):
            assert parameter.contains(each, member.dim_x, member.dim_y)
            if parameter.names:
                assert each in prior.values
                continue
            low, high = prior.support(parameter.integer)
            assert type(each) is (int if parameter.integer else float)
            assert low <= each <= high


def inner_range(parameter, dims):
    """Two different legal values, from within the published range."""
    low, high = parameter.published_prior(*dims).support(parameter.integer)
    if parameter.integer:
        return low, min(high, low + 1)
    return low + 0.25 * (high - low), low + 0.5 * (high - low)


@every_family
def test_draw_respects_given_ranges_and_fixed_values(name):
    family, dims = at_four(name)
    for key, parameter in family.parameters.items():
        if parameter.names:
            for word in parameter.names:
                drawn = draw_theta(family, dims, np.random.default_rng(0), {key: word})
                assert drawn[key] == word
            continue
        low, high = inner_range(parameter, dims)
        drawn = [
            draw_theta(family, dims, np.random.default_rng(seed), {key: Uniform(low, high)})[key]
            for seed in range(20)
        ]
        assert low <= np.min(drawn) and np.max(drawn) <= high
        assert np.min(drawn) < np.max(drawn) or low == high
        fixed = draw_theta(family, dims, np.random.default_rng(0), {key: low})[key]
        assert np.all(np.array(fixed) == low)


@every_family
def test_every_family_says_what_it_is(name):
    family = FAMILIES[name]
    assert family.name == name
    assert family.formula and family.source
    for section in ("Model:", "Mutual information:", "References:", "Example:"):
        assert section in family.__doc__
    for key, parameter in family.parameters.items():
        assert f"{key}: " in family.__doc__
        assert parameter.meaning and parameter.unit


@every_family
def test_unknown_and_missing_parameters_are_refused(name):
    family, dims = at_four(name)
    theta = family.draw(*dims, np.random.default_rng(0)).theta
    needs = re.escape(f"{name}: needs the parameters {sorted(theta)}, got ")
    with pytest.raises(TypeError, match=needs):
        family(*dims, **theta, typo=1.0)
    if theta:
        with pytest.raises(TypeError, match=needs):
            family(*dims, **dict(list(theta.items())[1:]))
    with pytest.raises(TypeError, match=f"^{name}: has no parameter typo$"):
        family.draw(*dims, np.random.default_rng(0), typo=1.0)


@every_family
def test_values_outside_the_domain_are_refused_by_name(name):
    family, dims = at_four(name)
    theta = family.draw(*dims, np.random.default_rng(0)).theta
    for key, parameter in family.parameters.items():
        if parameter.names:
            with pytest.raises(ValueError, match=f"^{name}: {key} must lie in .*, got neither"):
                family(*dims, **{**theta, key: "neither"})
            continue
        low, high = parameter.domain(*dims)
        domain = re.escape(parameter.describe_domain(*dims))
        wrong = [low - 1, high + 1, float("nan")] if np.isfinite(high) else [low - 1, float("nan")]
        wrong += [low] if parameter.closed in {"", "high"} else []
        wrong += [high] if parameter.closed in {"", "low"} else []
        wrong += [low + 0.5] if parameter.integer else []
        for value in wrong:
            bad = value
            if parameter.per:
                bad = (value, *theta[key][1:])
            message = f"^{name}: {key} must lie in {domain}, got {re.escape(str(value))}"
            with pytest.raises(ValueError, match=message):
                family(*dims, **{**theta, key: bad})


def test_the_messages_read_as_in_the_style_guide():
    message = r"^gaussian-dense: rho must lie in \(-0.2, 1\), got 1.5; at the ends"
    with pytest.raises(ValueError, match=message):
        GaussianDense(3, 3, rho=1.5)
    message = r"^gaussian-sparse: pairs must lie in \{1, ..., 3\}, got 4$"
    with pytest.raises(ValueError, match=message):
        GaussianSparse(3, 5, strength=1.0, pairs=4)
    with pytest.raises(
        ValueError, match=r"^student-identity: nu must lie in \(0, inf\), got 0.0$"
    ):
        StudentIdentity(3, 3, nu=0.0)


def test_a_flag_is_not_a_number():
    with pytest.raises(TypeError, match=r"^gaussian-sparse: pairs must be a number, got True$"):
        GaussianSparse(3, 5, strength=1.0, pairs=True)


@every_family
def test_unsupported_dimensions_and_empty_samples_are_refused(name):
    family, dims = at_four(name)
    member = family.draw(*dims, np.random.default_rng(0))
    with pytest.raises(ValueError, match=f"^{name}: unsupported dimensions dim_x=0, dim_y=2$"):
        family(0, 2, **member.theta)
    with pytest.raises(ValueError, match=f"^{name}: n must be at least 1, got 0$"):
        member.sample(0, np.random.default_rng(0))
    if member.has_density:
        with pytest.raises(ValueError, match=f"^{name}: expected x "):
            member.pointwise_mutual_information(np.zeros((3, dims[0] + 1)), np.zeros((3, dims[1])))


def test_a_shape_says_which_dimensions_have_members():
    assert FAMILIES["additive-uniform"].supports(2, 2)
    assert not FAMILIES["additive-uniform"].supports(2, 3)
    assert not FAMILIES["gaussian-2pair"].supports(1, 2)
    assert str(Shape()) == "any"
    assert str(ONE_BY_ONE) == "1 × 1"
    assert str(Shape(equal=True)) == "d × d"
    assert str(Shape((2, None), (1, 1))) == "≥ 2 × 1"


def test_a_per_coordinate_parameter_needs_one_value_per_coordinate():
    message = "^additive-uniform: epsilon must be a tuple of 3 numbers$"
    with pytest.raises(TypeError, match=message):
        FAMILIES["additive-uniform"](3, 3, epsilon=(0.5, 0.5))
    with pytest.raises(TypeError, match=message):
        FAMILIES["additive-uniform"](3, 3, epsilon=0.5)


def test_an_infinite_sample_is_refused():
    heavy = StudentIdentity(2, 2, nu=0.001)
    with pytest.raises(FloatingPointError, match="holds a NaN or an infinity"):
        heavy.sample(200, np.random.default_rng(0))
