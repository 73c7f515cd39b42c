"""Finite alphabets: sums over tables against the closed forms of the channels."""

import math
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mistdata.distributions.families.channels import (
    BinaryErasureChannel,
    BinarySymmetricChannel,
    ContingencyTable,
    SymmetricChannel,
    ZChannel,
)
from mistdata.distributions.parameters import structure_rng

probabilities = st.one_of(st.floats(0.0, 1.0), st.sampled_from([0.0, 1e-12, 0.5, 1 - 1e-12, 1.0]))
inputs = st.floats(1e-9, 1.0 - 1e-9)
some = settings(max_examples=40)


def entropy(*p):
    return -math.fsum(each * math.log(each) for each in p if each > 0.0)


def binary_entropy(t):
    return entropy(t, 1.0 - t)


def information(family, **theta):
    return family(1, 1, **theta).mutual_information().value


@some
@given(q=inputs, p=probabilities)
def test_the_binary_symmetric_channel_has_its_closed_form(q, p):
    closed = binary_entropy(q * (1.0 - p) + (1.0 - q) * p) - binary_entropy(p)
    assert information(BinarySymmetricChannel, q=q, p=p) == pytest.approx(closed, abs=1e-14)


@some
@given(q=inputs, epsilon=probabilities)
def test_the_binary_erasure_channel_has_its_closed_form(q, epsilon):
    closed = (1.0 - epsilon) * binary_entropy(q)
    assert information(BinaryErasureChannel, q=q, epsilon=epsilon) == pytest.approx(
        closed, abs=1e-14
    )


@some
@given(q=inputs, p=probabilities)
def test_the_z_channel_has_its_closed_form(q, p):
    closed = binary_entropy(q * (1.0 - p)) - q * binary_entropy(p)
    assert information(ZChannel, q=q, p=p) == pytest.approx(closed, abs=1e-14)


@some
@given(m=st.integers(2, 200), p=probabilities)
def test_the_symmetric_channel_has_its_closed_form(m, p):
    closed = math.log(m) - binary_entropy(p) - p * math.log(m - 1)
    assert information(SymmetricChannel, m=m, p=p) == pytest.approx(closed, abs=1e-12)


@some
@given(
    rows=st.integers(2, 9),
    columns=st.integers(2, 9),
    concentration=st.sampled_from([0.01, 0.05, 1.0, 30.0, 1000.0]),
    strength=st.floats(0.0, 1.0),
    structure=st.integers(0, 2**32 - 1),
)
def test_a_table_has_the_information_of_its_entropies(
    rows, columns, concentration, strength, structure
):
    table = structure_rng(structure).dirichlet([concentration] * (rows * columns))
    table = table.reshape(rows, columns)
    a, b = table.sum(axis=1), table.sum(axis=0)
    joint = strength * table + (1.0 - strength) * a[:, None] * b
    expected = entropy(*a) + entropy(*b) - entropy(*joint.flat)
    found = information(
        ContingencyTable,
        rows=rows,
        columns=columns,
        concentration=concentration,
        strength=strength,
        structure=structure,
    )
    assert found == pytest.approx(expected, abs=1e-13)


def test_the_information_of_a_table_is_convex_in_the_strength_and_starts_at_zero():
    theta = {"rows": 4, "columns": 7, "concentration": 0.3, "structure": 5}
    values = [information(ContingencyTable, strength=s / 10, **theta) for s in range(11)]
    assert values[0] == pytest.approx(0.0, abs=1e-15)
    slopes = [after - before for before, after in pairwise(values)]
    assert all(0.0 < before < after for before, after in pairwise(slopes))


def test_two_symbols_make_a_binary_symmetric_channel():
    for p in (0.0, 0.1, 0.5, 0.9):
        assert information(SymmetricChannel, m=2, p=p) == pytest.approx(
            information(BinarySymmetricChannel, q=0.5, p=p), abs=1e-15
        )


def test_noise_that_hides_everything_leaves_no_information():
    assert information(BinarySymmetricChannel, q=0.3, p=0.5) == pytest.approx(0.0, abs=1e-16)
    assert information(BinaryErasureChannel, q=0.3, epsilon=1.0) == 0.0
    assert information(ZChannel, q=0.3, p=1.0) == 0.0
    assert information(SymmetricChannel, m=5, p=0.8) == pytest.approx(0.0, abs=1e-15)


def test_a_channel_without_noise_carries_the_entropy_of_its_input():
    expected = pytest.approx(binary_entropy(0.3), abs=1e-15)
    assert information(BinarySymmetricChannel, q=0.3, p=0.0) == expected
    assert information(BinarySymmetricChannel, q=0.3, p=1.0) == expected
    assert information(BinaryErasureChannel, q=0.3, epsilon=0.0) == expected
    assert information(ZChannel, q=0.3, p=0.0) == expected


CHANNELS = [
    # the chance of each output, given the input
    (BinarySymmetricChannel, {"q": 0.3, "p": 0.2}, (0.7, 0.3), ((0.8, 0.2), (0.2, 0.8))),
    (
        BinaryErasureChannel,
        {"q": 0.3, "epsilon": 0.2},
        (0.7, 0.3),
        ((0.8, 0.0, 0.2), (0.0, 0.8, 0.2)),
    ),
    (ZChannel, {"q": 0.3, "p": 0.2}, (0.7, 0.3), ((1.0, 0.0), (0.2, 0.8))),
    (
        SymmetricChannel,
        {"m": 3, "p": 0.2},
        (1 / 3, 1 / 3, 1 / 3),
        ((0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8)),
    ),
]


@pytest.mark.parametrize(("family", "theta", "given_input", "given_output"), CHANNELS)
def test_the_samples_follow_the_channel(family, theta, given_input, given_output):
    x, y = family(1, 1, **theta).sample(40_000, np.random.default_rng(0))
    expected = np.array(given_input)[:, None] * np.array(given_output)
    observed = np.zeros_like(expected)
    for i, j in product(*map(range, expected.shape)):
        observed[i, j] = ((x == i) & (y == j)).sum()
    assert observed.sum() == 40_000
    assert (observed[expected == 0.0] == 0).all()
    possible = expected > 0.0
    assert stats.chisquare(observed[possible], 40_000 * expected[possible]).pvalue > 1e-4


def test_a_table_of_strength_zero_has_independent_samples():
    member = ContingencyTable(
        1, 1, rows=3, columns=4, concentration=1.0, strength=0.0, structure=2
    )
    x, y = member.sample(40_000, np.random.default_rng(1))
    observed = np.histogram2d(x[:, 0], y[:, 0], bins=(np.arange(4) - 0.5, np.arange(5) - 0.5))[0]
    assert stats.chi2_contingency(observed).pvalue > 1e-4


def test_what_is_no_symbol_has_no_density():
    member = BinarySymmetricChannel(1, 1, q=0.5, p=0.1)
    x = np.array([[0.0], [2.0], [-1.0], [1.0]])
    y = np.array([[1.0], [0.0], [0.0], [7.0]])
    pointwise = member.pointwise_mutual_information(x, y)
    assert pointwise[0] == pytest.approx(math.log(0.2), abs=1e-15)
    assert (pointwise[1:] == -np.inf).all()


def test_a_constant_input_is_refused_with_the_reason():
    with pytest.raises(ValueError, match=r"^channel-bsc: q must lie in \(0, 1\).*X is constant$"):
        BinarySymmetricChannel(1, 1, q=0.0, p=0.1)
