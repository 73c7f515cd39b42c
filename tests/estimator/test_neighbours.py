"""Nearest neighbours refute the network where they should, and nowhere else."""

import math

import numpy as np
import pytest
import torch

import mistdata
from mistdata.baselines.neighbours import ksg
from mistdata.estimator import Estimator
from mistdata.estimator.config import LEVELS
from mistdata.estimator.neighbours import (
    FEWEST,
    _apart,
    _Scores,
    _terms,
    _terms_of_trees,
    second_opinion,
    weighed,
)
from mistdata.estimator.prepare import rank, scores_of_ranks
from mistdata.estimator.sample import Sample

INDEPENDENT = np.zeros(len(LEVELS))  # what a network says that is sure of no information
SAID = "nearest neighbours find"


def checkerboard(n, rng, cells=4):
    i, j = rng.integers(0, cells, (2, n))
    j += (i + j) % 2 * (1 - 2 * (j == cells - 1))
    return (i + rng.random(n))[:, None], (j + rng.random(n))[:, None], math.log(2)


def sine(n, rng):
    x = rng.random(n)
    return x[:, None], (np.sin(40 * x) + 0.1 * rng.standard_normal(n))[:, None], None


def exclusive_or(n, rng):
    x = rng.standard_normal((n, 2))
    y = (x > 0).sum(axis=1) % 2 + 0.01 * rng.random(n)
    return x, y[:, None], math.log(2)


@pytest.mark.parametrize("pattern", [checkerboard, sine, exclusive_or])
@pytest.mark.parametrize("model", ["small", "base"])
def test_patterns_that_no_network_has_learned_are_not_taken_for_independence(pattern, model):
    x, y, truth = pattern(1000, np.random.default_rng(1))
    found = mistdata.estimate(x, y, model=model)
    assert found.median > 0.3
    assert list(found.quantiles) == sorted(found.quantiles)
    if truth is not None:
        assert found.lower < truth < 1.1 * found.upper  # what neighbours find is rather too low


def test_the_answer_says_whose_it_is():
    x, y, _ = checkerboard(1000, np.random.default_rng(2))
    nats, bits = (mistdata.estimate(x, y, units=units) for units in ("nats", "bits"))
    assert [SAID in "; ".join(each.warnings) for each in (nats, bits)] == [True, True]
    assert "bits, clearly more" in bits.warnings[-1]
    assert bits.median == pytest.approx(nats.median / math.log(2))


SAMPLES = {
    "normal": lambda rng, n: (rng.standard_normal((n, 2)), rng.standard_normal((n, 2))),
    "tails": lambda rng, n: (rng.standard_cauchy((n, 1)), rng.standard_cauchy((n, 3))),
    "counts": lambda rng, n: (rng.poisson(30, (n, 1)), rng.poisson(3, (n, 1))),
    "labels": lambda rng, n: (rng.integers(0, 3, (n, 1)), rng.integers(0, 2, (n, 2))),
    "mixed": lambda rng, n: (rng.integers(0, 5, (n, 1)), rng.standard_normal((n, 1))),
}


@pytest.mark.parametrize("kind", SAMPLES)
@pytest.mark.parametrize("n", [FEWEST, 700])
def test_independent_samples_refute_nothing(kind, n):
    # Each alarm has a chance of about one in a thousand, had the network no width at all.
    rng = np.random.default_rng([3, n])
    alarms = 0
    for _ in range(50):
        x, y = (side.astype(float) for side in SAMPLES[kind](rng, n))
        alarms += second_opinion(Sample(x, y), LEVELS, INDEPENDENT) is not None
    assert alarms <= 1


@pytest.mark.parametrize("rho", [0.5, 0.95])
def test_what_the_network_knows_is_left_to_it(rho):
    rng = np.random.default_rng(4)
    for n in (100, 1000):
        x = rng.standard_normal((n, 1))
        y = rho * x + math.sqrt(1 - rho**2) * rng.standard_normal((n, 1))
        assert not any(SAID in each for each in mistdata.estimate(x, y).warnings)


def test_the_estimate_is_that_of_kraskov_et_al():
    rng = np.random.default_rng(5)
    x = rng.standard_normal((400, 2))
    y = x + rng.standard_normal((400, 2))
    doubled = rank(torch.from_numpy(np.concatenate([x, y], axis=1))[None]).doubled
    scores = scores_of_ranks(doubled, torch.float64)[0].numpy()
    value, error = _Scores(np.hstack([x, y]), x.shape[1]).find(400)
    assert value == pytest.approx(ksg(k=3)(scores[:, :2], scores[:, 2:], rng), abs=1e-3)
    assert 0.02 < error < 0.1


def counted(n, rng):
    x = rng.poisson(20, n)
    return np.stack([x, rng.permutation(n)], axis=1), (x // 2 % 2)[:, None]


@pytest.mark.parametrize("pattern", [exclusive_or, lambda n, rng: (*counted(n, rng), None)])
@pytest.mark.parametrize("n", [600, 3000])
def test_no_order_of_rows_columns_or_sides_changes_it(n, pattern):
    rng = np.random.default_rng(6)
    x, y, _ = pattern(n, rng)
    rows = rng.permutation(n)
    first = second_opinion(Sample(x, y), LEVELS, INDEPENDENT)
    assert first is not None
    assert second_opinion(Sample(x[rows], y[rows]), LEVELS, INDEPENDENT) == first
    for left, right in ((x[:, ::-1], y), (y, x), (np.exp(x / 99), y**3)):
        again = second_opinion(Sample(left, right), LEVELS, INDEPENDENT)
        assert np.array(again) == pytest.approx(np.array(first), abs=0.02)


@pytest.mark.parametrize("rho", [0.0, 0.9])
def test_rows_that_repeat_are_left_to_the_network(rho):
    """A bootstrap resample: a row and its copy are nearest neighbours on both sides."""
    rng = np.random.default_rng(10)
    x = rng.standard_normal((300, 1))
    y = rho * x + math.sqrt(1 - rho**2) * rng.standard_normal((300, 1))
    rows = rng.integers(0, 300, 300)
    assert second_opinion(Sample(x[rows], y[rows]), LEVELS, INDEPENDENT) is None


def test_more_columns_and_fewer_rows_are_the_network_s_alone():
    rng = np.random.default_rng(7)
    x = rng.standard_normal((200, 5))
    assert second_opinion(Sample(x[:, :1], x[:, :1]), LEVELS, INDEPENDENT) is not None
    assert second_opinion(Sample(x[:49, :1], x[:49, :1]), LEVELS, INDEPENDENT) is None
    assert second_opinion(Sample(x[:, :4], x), LEVELS, INDEPENDENT) is None


def test_the_standard_error_is_that_of_fresh_samples():
    rng = np.random.default_rng(8)
    found = np.array([_Scores(rng.standard_normal((300, 2)), 1).find(300) for _ in range(200)])
    assert found[:, 0].std() / found[:, 1].mean() == pytest.approx(1, abs=0.15)


def test_many_samples_at_a_time_are_the_network_s_alone():
    x, y, _ = checkerboard(1000, np.random.default_rng(9))
    found = mistdata.matrix({"x": x[:, 0], "y": y[:, 0]})
    assert float(np.nanmax(found.array())) < 0.2
    assert Estimator.load().quantiles(*map(torch.from_numpy, (x, y))).max() < 0.3


def test_categories_count_as_one_column_each():
    """Ten classes are nine columns to the network, and one to the neighbours."""
    rng = np.random.default_rng(8)
    label = rng.integers(0, 10, 2000)
    number = 6.0 * label + rng.standard_normal(2000)
    found = mistdata.estimate(number, label, y_kind="category")
    assert found.lower < math.log(10) < found.upper + 0.02 < math.log(10) + 0.05
    assert found.median == pytest.approx(math.log(10), abs=0.15)


@pytest.mark.parametrize("columns", [2, 3])
@pytest.mark.parametrize("digits", [8, 1])
def test_trees_find_what_all_distances_find(columns, digits):
    values = np.random.default_rng(5).standard_normal((600, columns)).round(digits)
    scores = _Scores(values, 1)
    every = _terms(_apart(scores._x), _apart(scores._y))
    assert torch.equal(_terms_of_trees(scores._x, scores._y), every)


def additive(rng, n, width):
    """Y = X + N, both uniform, N of half-width w ≤ 1/2: I = w + ln(1 / 2w) nats."""
    x = rng.random(n)
    return x, x + width * rng.uniform(-1, 1, n), width + math.log(1 / (2 * width))


@pytest.mark.parametrize("model", ["small", "base"])
def test_of_two_columns_both_are_asked_and_are_nearer_to_the_truth_than_the_network(model):
    """Of the additive noise of bmi-40 and of normal pairs, 2,000 rows."""
    rng, estimator = np.random.default_rng(6), Estimator.load(model)
    ours, alone, held = [], [], []
    for turn in range(24):
        if turn % 2:
            x, y, truth = additive(rng, 2000, 10 ** rng.uniform(-1.3, -0.4))
        else:
            rho = rng.uniform(-0.95, 0.95)
            x, noise = rng.standard_normal((2, 2000))
            y, truth = rho * x + (1 - rho**2) ** 0.5 * noise, -0.5 * math.log(1 - rho**2)
        found = estimator(x, y)
        assert found.by == "both" and "by network and neighbours" in str(found)
        assert list(found.quantiles) == sorted(found.quantiles)
        (network,) = estimator.answers([Sample(x[:, None], y[:, None])], level=0.9, units="nats")
        ours.append(abs(found.median - truth))
        alone.append(abs(network.median - truth))
        held.append(found.lower <= truth <= found.upper)
    assert np.mean(ours) < 0.7 * np.mean(alone)
    assert np.mean(ours) < 0.05
    assert np.mean(held) >= 0.75


def test_weights_are_those_of_the_two_errors():
    """A network that is sure keeps its answer, one that knows nothing takes the neighbours'."""
    x, y = np.random.default_rng(7).standard_normal((2, 500, 1))
    sample = Sample(x, x + y)
    sure, open_ = np.full(len(LEVELS), 0.2), 10 * np.array(LEVELS)
    assert weighed(sample, LEVELS, sure) == pytest.approx(sure)
    scores = _Scores(np.concatenate([x, x + y], axis=1), 1)
    (value, error), quarter = scores.find(500), scores.find(125)[0]
    error += max(0.0, value - quarter)
    own = 2 * 9 / 3.29
    share = own**2 / (own**2 + error**2)
    middle = LEVELS.index(0.5)
    expected = share * value + (1 - share) * open_[middle]
    assert weighed(sample, LEVELS, open_)[middle] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (lambda r: r.standard_normal((99, 1)), lambda r: r.standard_normal((99, 1))),
        (lambda r: r.standard_normal((500, 2)), lambda r: r.standard_normal((500, 2))),
        (lambda r: r.standard_normal((500, 1)), lambda r: r.poisson(50, (500, 1)) * 1.0),
        (lambda r: np.tile(r.standard_normal((250, 1)), (2, 1)), lambda r: r.random((500, 1))),
    ],
    ids=["short", "wide", "counts", "repeats"],
)
def test_other_samples_are_not_weighed(x, y):
    rng = np.random.default_rng(8)
    assert weighed(Sample(x(rng), y(rng)), LEVELS, np.array(LEVELS)) is None


@pytest.mark.parametrize("columns", [1, 2])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_columns_that_are_zero_together_tell_as_much_as_their_flag(share, columns):
    rng = np.random.default_rng([int(100 * share), columns])
    truth = -share * math.log(share) - (1 - share) * math.log(1 - share)
    held = []
    for n in (300, 1000, 5000):
        zero = rng.random(n) < share
        x, y = (np.where(zero, 0.0, rng.exponential(size=n)) for _ in range(2))
        found = mistdata.estimate(x, np.column_stack([y, rng.standard_normal((n, columns - 1))]))
        assert found.by in ("both", "neighbours")
        assert found.median == pytest.approx(truth, abs=0.1)
        held.append(found.lower <= truth <= found.upper)
    assert sum(held) >= 2


def test_the_estimate_with_atoms_is_the_formula():
    rng = np.random.default_rng(4)
    scores = torch.from_numpy(np.where(rng.random((120, 2)) < 0.4, 0.0, rng.random((120, 2))))
    apart = (scores[:, None] - scores).abs().numpy()
    terms = []
    for row, (x, y) in enumerate(apart.transpose(0, 2, 1)):
        others = np.arange(120) != row
        radius = np.sort(np.maximum(x, y)[others])[2]
        if radius == 0:
            near = [(each[others] == 0).sum() for each in (np.maximum(x, y), x, y)]
        else:
            near = [3, *((each[others] < radius).sum() + 1 for each in (x, y))]
        psi = torch.tensor([*near, 120]).double().digamma()
        terms.append(float(psi[0] - psi[1] - psi[2] + psi[3]))
    assert (
        sum(np.maximum(*apart[row].T)[np.arange(120) != row].min() == 0 for row in range(120)) > 0
    )
    found = _terms_of_trees(scores[:, :1], scores[:, 1:])
    np.testing.assert_allclose(found.numpy(), terms, atol=1e-9)


@pytest.mark.parametrize("digits", [0, 1])
def test_rounded_numbers_have_no_atoms(digits):
    x, y = np.random.default_rng(1).standard_normal((2, 500)).round(digits)
    assert mistdata.estimate(x, y).by != "both"
