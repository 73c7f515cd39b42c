"""A regression bounds the information from below, and raises what clearly falls short of it."""

import numpy as np
import pytest
import torch

import mistdata
from mistdata.estimator.config import LEVELS
from mistdata.estimator.neighbours import LEAST
from mistdata.estimator.regression import (
    Bound,
    _class_of,
    _folds,
    _metrics,
    lower_bound,
    predicted,
)
from mistdata.estimator.sample import join, read_sides
from train.functions import FUNCTIONS, noisy, truth_of

SAID = "a regression of the one column"


def bound_of(x, y, median=-1.0):
    return lower_bound(join(*read_sides(x, y)), median)


@pytest.mark.parametrize("model", ["small", "base"])
@pytest.mark.parametrize("name", ["sum of squares", "maximum", "range", "product and square"])
def test_functions_of_several_columns_are_seen(name, model):
    x, y, f = noisy(FUNCTIONS[name], np.random.default_rng(1), n=600, columns=5, noise=0.3)
    truth = truth_of(f, 0.3)
    found = mistdata.estimate(x, y, model=model)
    assert found.by == "regression" and "by regression" in str(found)
    assert truth / 2 < found.median < 1.25 * truth
    assert found.lower < truth < 1.1 * found.upper
    assert list(found.quantiles) == sorted(found.quantiles)


def test_groups_of_a_matrix_are_answered_alike():
    x, y, _ = noisy(FUNCTIONS["sum of squares"], np.random.default_rng(13), n=300, columns=4)
    frame = {f"x{i}": column for i, column in enumerate(x.T)} | {"y": y}
    groups = {"all": [f"x{i}" for i in range(4)], "first": ["x0"]}
    table = mistdata.matrix(frame, target="y", groups=groups)
    found = {pair.x: pair.estimate for pair in table.pairs}
    whole, first = found["all"], found["first"]
    assert whole.by == "regression" and first.by != "regression"
    assert whole.median == pytest.approx(mistdata.estimate(x, y).median, abs=0.05)


def test_what_refutes_the_network_is_said_in_the_units_asked_for():
    x, y, _ = noisy(FUNCTIONS["sum of squares"], np.random.default_rng(2), n=600, columns=6)
    nats, bits = (mistdata.estimate(x, y, units=units) for units in ("nats", "bits"))
    assert SAID in nats.warnings[-1] and "bits, more than" in bits.warnings[-1]
    assert bits.median == pytest.approx(nats.median / np.log(2))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_it_is_a_lower_bound(name):
    rng = np.random.default_rng(3)
    for n, columns, noise in ((150, 3, 0.1), (500, 8, 1.0), (1000, 4, 0.3)):
        x, y, f = noisy(FUNCTIONS[name], rng, n=n, columns=columns, noise=noise)
        found = bound_of(x, y)
        assert found.value - 3 * found.error < truth_of(f, noise)


@pytest.mark.parametrize("columns", [2, 12])
@pytest.mark.parametrize("beside", ["normal", "dice"])
@pytest.mark.parametrize("kind", ["number", "count", "bit", "category"])
def test_independent_columns_raise_nothing(kind, beside, columns):
    # Two standard errors of one side: each has a chance of some per cent.
    rng, alarms = np.random.default_rng([4, columns]), 0
    for _ in range(20):
        x = rng.standard_normal((200, columns))
        x = x if beside == "normal" else np.round(x)
        y = {
            "number": rng.standard_cauchy(200), "count": rng.poisson(3, 200).astype(float),
            "bit": rng.integers(0, 2, 200).astype(float),
            "category": np.array(list("abcde"))[rng.integers(0, 5, 200)],
        }[kind]  # fmt: skip
        alarms += bound_of(x, y, median=0.0) is not None
    assert alarms <= 3


def test_a_category_beside_noise_is_told_by_a_regression():
    rng = np.random.default_rng(5)
    codes = rng.integers(0, 3, 1000)
    x = np.concatenate([3 * np.eye(3)[codes][:, :2], np.zeros((1000, 10))], axis=1)
    x += rng.standard_normal(x.shape)
    words = np.array(["red", "green", "blue"])[codes]
    found = mistdata.estimate(x, words)
    assert found.by == "regression" and found.median == pytest.approx(0.83, abs=0.12)
    assert found.upper <= np.log(3) + 0.05


def test_irrelevant_and_mixed_columns_are_learned_to_be_so():
    rng = np.random.default_rng(6)
    x = rng.standard_normal((400, 8))
    y = torch.from_numpy(np.sin(2 * (x[:, :1] + x[:, 1:2])))
    plain, *_, learned = _metrics(torch.from_numpy(x), y, 3)
    along = (learned @ learned.T).diagonal()
    assert (plain == torch.eye(8)).all()
    assert along[:2].min() > 10 * along[2:].max()


@pytest.mark.parametrize("n", [8, 100, 257])
def test_no_row_is_predicted_from_its_own_fold(n):
    asked = torch.cat([asked for _, asked in _folds(n, torch.device("cpu"))])
    assert (asked == torch.arange(n)).all()
    x, y = torch.randn(n, 3, dtype=torch.float64), torch.randn(n, 1, dtype=torch.float64)
    for known, asked in _folds(n, torch.device("cpu")):
        assert not set(known.tolist()) & set(asked.tolist()) and len(known) + len(asked) == n
    if n < 257:  # so few rows choose the settings, too; beyond, only those after the 256th do not
        return
    other = y.clone()
    other[-1] += 10
    assert predicted(x, y)[-1].equal(predicted(x, other)[-1])


def test_names_order_and_increasing_maps_change_nothing():
    x, y, _ = noisy(FUNCTIONS["maximum"], np.random.default_rng(7), n=300, columns=4)
    first = bound_of(x, y)
    rows = np.random.default_rng(8).permutation(300)
    assert bound_of(x[rows], y[rows]) == first
    assert bound_of(x[:, [2, 0, 3, 1]], y) == first
    assert bound_of(np.exp(x), y**3) == first
    assert bound_of(y, x) == first


def test_the_same_words_by_other_names_tell_the_same():
    rng = np.random.default_rng(9)
    codes, x = rng.integers(0, 3, 400), rng.standard_normal((400, 3))
    x[:, 0] += codes
    values = [bound_of(x, np.array(list(names))[codes]).value for names in ("abc", "cab", "xyz")]
    assert max(values) - min(values) < 0.05  # the sums are of other columns


def test_samples_that_it_is_not_for_are_left_alone():
    rng = np.random.default_rng(10)
    x, y = rng.standard_normal((400, 3)), rng.standard_normal(400)
    assert bound_of(x, y) is not None
    assert bound_of(x[:, 0], y) is None  # of one column neighbours know more
    assert bound_of(x[:, :2], x[:, 1:]) is None  # two beside two
    assert bound_of(x[: LEAST - 1], y[: LEAST - 1]) is None
    assert bound_of(np.tile(x[:90], (4, 1)), np.tile(y[:90], 4)) is None  # copies
    assert bound_of(x, y, median=5.0) is None


def test_copies_of_rows_are_left_out_and_chance_repeats_are_not():
    rng = np.random.default_rng(15)
    x, y, _ = noisy(FUNCTIONS["sum of squares"], rng, n=400, columns=5)
    again = np.append(np.arange(400), np.arange(75))
    assert bound_of(x[again], y[again]) == bound_of(x, y)
    dice = rng.integers(1, 6, (1500, 4))
    count = ((dice - 3) ** 2).sum(axis=1) + rng.choice(5, 1500, p=[0.1, 0.2, 0.4, 0.2, 0.1])
    found = mistdata.estimate(dice, count)
    assert found.by == "regression" and found.lower < 1.2 < found.upper and found.median > 0.9


def test_a_parity_is_not_taken_for_more_than_it_is():
    rng, medians = np.random.default_rng(16), []
    for _ in range(8):
        bits = (rng.random((300, 20)) < 0.5) * 1.0
        found = mistdata.estimate(
            bits, bits[:, :2].sum(axis=1) % 2 + 0.2 * rng.standard_normal(300)
        )
        medians.append(found.median)
        assert found.lower < 0.68
    assert np.median(medians) < 1.1  # the truth is .68


def test_a_category_of_one_value_in_some_rows_is_not_an_error():
    rng = np.random.default_rng(11)
    x, y = rng.standard_normal((400, 3)), np.zeros(400)
    y[:3] = 1
    found = bound_of(x, y)
    assert found is None or found.value < 0.1


def test_rare_values_and_ties_of_the_other_side_are_no_error():
    rng = np.random.default_rng(14)
    rare = np.zeros((1200, 2))
    rare[:3, 0] = rare[-3:, 1] = 1
    assert bound_of(rare, rng.standard_normal(1200)).value < 0.1
    counts = rng.poisson(0.5, (1200, 3)).astype(float)
    found = bound_of(counts, counts[:, 0] + counts[:, 1] + 0.3 * rng.standard_normal(1200))
    assert 0.8 < found.value < 1.5


def test_many_columns_and_constant_directions_are_fitted():
    rng = np.random.default_rng(12)
    x = rng.standard_normal((300, 40))
    x[:, 20:] = x[:, :20]  # of half the rank
    found = bound_of(x, x[:, 0] + 0.3 * rng.standard_normal(300))
    assert 0.5 < found.value < 1.3


def test_the_quantiles_are_wider_above():
    bound = Bound(1.0, 0.1, 0.2)
    low, middle, high = np.interp([0.16, 0.5, 0.84], LEVELS, bound.quantiles(LEVELS))
    assert middle == pytest.approx(1.2)
    assert middle - low == pytest.approx(0.3, rel=0.05)
    assert high - middle == pytest.approx(0.5, rel=0.05)
    assert Bound(-1.0, 0.1, 0.1).quantiles(LEVELS).max() == 0


def test_the_likeliest_category_is_taken():
    shares = torch.tensor([[0.5, 0.2], [0.1, 0.7], [0.2, 0.3]])
    found = _class_of(shares)
    assert found.codes.tolist() == [0, 1, 2] and found.size == 3
