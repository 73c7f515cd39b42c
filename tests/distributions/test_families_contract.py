"""What every family promises, checked over all of `FAMILIES`."""

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mistdata.distributions import FAMILIES, Uniform
from mistdata.distributions.families.gaussian import GaussianDense, GaussianSparse
from mistdata.distributions.families.student import StudentIdentity

FAMILY_NAMES = sorted(FAMILIES)
every_family = pytest.mark.parametrize("name", FAMILY_NAMES)


seeds = st.integers(0, 2**32)
cases = st.tuples(st.sampled_from(FAMILY_NAMES), st.integers(1, 9), st.integers(1, 9), seeds)


def member_of(case):
    """A member of any family at small dimensions that it supports, drawn from its priors."""
    name, dim_x, dim_y, seed = case
    family = FAMILIES[name]
    if not family.supports(dim_x, dim_y):
        dim_x = dim_y = max(dim_x, dim_y, 2)
    return family.draw(dim_x, dim_y, np.random.default_rng(seed))


@given(cases, st.integers(1, 40), seeds)
def test_samples_have_the_promised_shape_and_type_and_follow_the_seed(case, n, seed):
    member = member_of(case)
    x, y = member.sample(n, np.random.default_rng(seed))
    assert x.shape == (n, member.dim_x)
    assert y.shape == (n, member.dim_y)
    assert x.dtype == y.dtype == np.float64
    assert np.isfinite(x).all() and np.isfinite(y).all()
    again = member.sample(n, np.random.default_rng(seed))
    assert (x.tobytes(), y.tobytes()) == (again[0].tobytes(), again[1].tobytes())
    assert x.tobytes() != member.sample(n, np.random.default_rng(seed + 1))[0].tobytes()


@given(cases)
def test_mutual_information_is_a_finite_nonnegative_closed_form(case):
    member = member_of(case)
    mi = member.mutual_information()
    assert type(mi.value) is float
    assert 0.0 <= mi.value < np.inf
    assert 0.0 < mi.error < 1e-10
    assert mi.method == "closed_form"


@given(cases, seeds)
def test_pointwise_information_is_finite_on_samples(case, seed):
    member = member_of(case)
    x, y = member.sample(20, np.random.default_rng(seed))
    pointwise = member.pointwise_mutual_information(x, y)
    assert pointwise.shape == (20,)
    assert np.isfinite(pointwise).all()


@given(cases)
def test_repr_rebuilds_the_member_and_theta_survives_json(case):
    member = member_of(case)
    again = eval(repr(member), {type(member).__name__: type(member)})
    assert (again.dim_x, again.dim_y, again.theta) == (member.dim_x, member.dim_y, member.theta)
    read = json.loads(json.dumps(member.theta))
    theta = {key: tuple(v) if isinstance(v, list) else v for key, v in read.items()}
    assert theta == member.theta
    assert type(member)(member.dim_x, member.dim_y, **theta).theta == member.theta


@given(cases)
def test_parameters_become_attributes_and_lie_in_their_published_ranges(case):
    member = member_of(case)
    for key, parameter in member.parameters.items():
        value = getattr(member, key)
        prior = parameter.published_prior(member.dim_x, member.dim_y)
        low, high = prior.support(parameter.integer)
        for each in value if parameter.per_coordinate else (value,):
            assert type(each) is (int if parameter.integer else float)
            assert low <= each <= high
            assert parameter.contains(each, member.dim_x, member.dim_y)


@every_family
def test_draw_respects_given_ranges_and_fixed_values(name):
    family = FAMILIES[name]
    for key, parameter in family.parameters.items():
        low, high = (2, 3) if parameter.integer else (0.15, 0.25)
        drawn = [
            family.draw(4, 4, np.random.default_rng(seed), **{key: Uniform(low, high)}).theta[key]
            for seed in range(20)
        ]
        assert low <= np.min(drawn) and np.max(drawn) <= high
        assert np.min(drawn) < np.max(drawn)
        fixed = family.draw(4, 4, np.random.default_rng(0), **{key: low}).theta[key]
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
    family = FAMILIES[name]
    theta = family.draw(4, 4, np.random.default_rng(0)).theta
    needs = re.escape(f"{name}: needs the parameters {sorted(theta)}, got ")
    with pytest.raises(TypeError, match=needs):
        family(4, 4, **theta, typo=1.0)
    with pytest.raises(TypeError, match=needs):
        family(4, 4, **dict(list(theta.items())[1:]))
    with pytest.raises(TypeError, match=f"^{name}: has no parameter typo$"):
        family.draw(4, 4, np.random.default_rng(0), typo=1.0)


@every_family
def test_values_outside_the_domain_are_refused_by_name(name):
    family = FAMILIES[name]
    theta = family.draw(4, 4, np.random.default_rng(0)).theta
    for key, parameter in family.parameters.items():
        low, high = parameter.domain(4, 4)
        domain = re.escape(parameter.describe_domain(4, 4))
        wrong = [low - 1, high + 1, float("nan")]
        wrong += [low] if parameter.closed in {"", "high"} else []
        wrong += [high] if parameter.closed in {"", "low"} else []
        wrong += [1.5] if parameter.integer else []
        for value in wrong:
            bad = (0.5, 0.5, value, 0.5) if parameter.per_coordinate else value
            message = f"^{name}: {key} must lie in {domain}, got {re.escape(str(value))}$"
            with pytest.raises(ValueError, match=message):
                family(4, 4, **{**theta, key: bad})


def test_the_messages_read_as_in_the_style_guide():
    message = r"^gaussian-dense: rho must lie in \(-0.2, 1\), got 1.5$"
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
    family = FAMILIES[name]
    theta = family.draw(2, 2, np.random.default_rng(0)).theta
    with pytest.raises(ValueError, match=f"^{name}: unsupported dimensions dim_x=0, dim_y=2$"):
        family(0, 2, **theta)
    with pytest.raises(ValueError, match=f"^{name}: n must be at least 1, got 0$"):
        family(2, 2, **theta).sample(0, np.random.default_rng(0))
    assert family.supports(2, 3) == (name != "additive-uniform")
    assert family.supports(1, 1) == (name not in {"gaussian-2pair", "student-2pair"})


def test_a_per_coordinate_parameter_needs_one_value_per_coordinate():
    message = "^additive-uniform: epsilon must be a tuple of 3 numbers$"
    with pytest.raises(TypeError, match=message):
        FAMILIES["additive-uniform"](3, 3, epsilon=(0.5, 0.5))
    with pytest.raises(TypeError, match=message):
        FAMILIES["additive-uniform"](3, 3, epsilon=0.5)


@every_family
def test_a_sample_is_two_views_of_one_contiguous_block(name):
    x, y = FAMILIES[name].draw(4, 4, np.random.default_rng(0)).sample(7, np.random.default_rng(0))
    assert x.base is y.base
    assert x.base.shape == (7, 8)
    assert x.base.flags.c_contiguous


def test_an_infinite_sample_is_refused():
    heavy = StudentIdentity(2, 2, nu=0.001)
    with pytest.raises(FloatingPointError, match="holds a NaN or an infinity"):
        heavy.sample(200, np.random.default_rng(0))
