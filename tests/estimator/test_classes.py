"""A category beside numbers: neighbours within each class answer, and the truth is inside."""

import math

import numpy as np
import pytest
import torch
from scipy.special import digamma
from sklearn.feature_selection import mutual_info_classif

import mistdata
from mistdata.estimator.classes import FEWEST, _find, between_classes
from mistdata.estimator.columns import read_columns
from mistdata.estimator.prepare import rank, scores_of_ranks
from mistdata.estimator.sample import join
from mistdata.estimator.tables import symbols


def blobs(rng, n, classes, columns, apart):
    """Normal classes of equal share around random centres: words, numbers, and the truth."""
    centres = apart * rng.standard_normal((classes, columns))

    def draw(rows):
        chosen = rng.integers(0, classes, rows)
        return chosen, centres[chosen] + rng.standard_normal((rows, columns))

    chosen, numbers = draw(100_000)
    far = -0.5 * ((numbers[:, None] - centres) ** 2).sum(axis=2)
    gain = far[np.arange(len(far)), chosen] - np.logaddexp.reduce(far, axis=1)
    chosen, numbers = draw(n)
    return [f"class {each}" for each in chosen], numbers, math.log(classes) + gain.mean()


def opinion(words, numbers):
    sample = join(read_columns(numbers, "x"), read_columns(words, "y"))
    return between_classes(sample, symbols(sample.x), symbols(sample.y))


@pytest.mark.parametrize("columns", [1, 2, 4, 7])
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_intervals_hold_the_truth(columns, classes):
    rng = np.random.default_rng([1, columns, classes])
    held, errors = [], []
    for _ in range(40):
        n, apart = int(10 ** rng.uniform(2.6, 3.2)), 10 ** rng.uniform(-0.5, 0.6)
        words, numbers, truth = blobs(rng, n, classes, columns, apart)
        found = mistdata.estimate(numbers, words)
        assert found.by == "neighbours" or (found.by == "regression" and columns > 2)
        assert bool(found.warnings) == (found.by == "regression")
        held.append(found.lower - 1e-3 <= truth <= found.upper + 1e-3)
        errors.append(found.median - truth)
    assert np.mean(held) >= 0.8
    assert abs(np.mean(errors)) < 0.05


def brute(codes, points):
    """The formula, with all distances at hand."""
    apart = np.abs(points[:, None] - points).max(axis=2)
    terms = []
    for row, code in enumerate(codes):
        own = np.sort(np.delete(apart[row], row)[np.delete(codes, row) == code])
        if len(own):
            radius = own[min(3, len(own)) - 1]
            near, all_near = (own <= radius).sum(), (apart[row] <= radius).sum() - 1
            terms.append(digamma(near) - digamma(all_near) - digamma(len(own) + 1))
    return digamma(len(codes)) + np.mean(terms)


@pytest.mark.parametrize("digits", [8, 1, 0])
def test_the_estimate_is_the_formula(digits):
    """Without ties, with some, of hardly any values that differ; one class has one row."""
    rng = np.random.default_rng(2)
    words, numbers, _ = blobs(rng, 200, 4, 2, 1.0)
    words[7] = "alone"
    numbers = numbers.round(digits)
    codes = np.unique(words, return_inverse=True)[1]
    scores = scores_of_ranks(rank(torch.from_numpy(numbers[None])).doubled, torch.float64)[0]
    found, _ = _find(codes, scores.numpy())
    assert found == pytest.approx(brute(codes, scores.numpy()), abs=1e-9)
    assert opinion(words, numbers).value >= found - 1e-9


def test_without_ties_it_is_the_estimate_of_scikit_learn():
    """Which adds a little noise to numbers that we leave as they are."""
    rng = np.random.default_rng(3)
    words, numbers, _ = blobs(rng, 500, 4, 1, 2.0)
    codes = np.unique(words, return_inverse=True)[1]
    scores = scores_of_ranks(rank(torch.from_numpy(numbers[None])).doubled, torch.float64)[0]
    theirs = mutual_info_classif(scores.numpy(), codes, n_neighbors=3, random_state=0)
    assert _find(codes, scores.numpy())[0] == pytest.approx(theirs[0], abs=2e-3)


def test_columns_that_tell_nothing_of_the_class_widen_the_interval():
    """Neighbours find half of it there, and are sure of that unless they know that it grows."""
    rng = np.random.default_rng(7)
    held, told = [], []
    for _ in range(20):
        words, numbers, truth = blobs(rng, 1000, 5, 1, 2.0)
        found = mistdata.estimate(
            np.column_stack([numbers, rng.standard_normal((1000, 5))]), words
        )
        held.append(found.lower <= truth <= found.upper)
        told.append(found.median / truth)
    assert np.mean(held) >= 0.8
    assert np.mean(told) > 0.7


def test_two_categories_are_a_table_and_no_numbers():
    words = ["a"] * 60 + ["b"] * 60
    assert opinion(words, np.arange(120) % 2) is None


def test_names_of_classes_order_of_rows_and_sides_change_nothing():
    rng = np.random.default_rng(3)
    words, numbers, _ = blobs(rng, 400, 5, 3, 1.0)
    other = [f"{9 - int(word[-1])} other" for word in words]
    rows, columns = rng.permutation(400), [2, 0, 1]
    found = mistdata.estimate(numbers, words)
    assert mistdata.estimate(numbers, other) == found
    assert mistdata.estimate(words, numbers).quantiles == found.quantiles
    assert mistdata.estimate(np.exp(numbers), words).quantiles == found.quantiles
    shuffled = mistdata.estimate(numbers[rows][:, columns], [words[row] for row in rows])
    assert shuffled.quantiles == pytest.approx(found.quantiles, abs=1e-10)


@pytest.mark.parametrize(
    ("n", "classes", "columns"), [(FEWEST - 1, 3, 1), (140, 30, 1), (150, 3, 4), (900, 3, 8)]
)
def test_of_few_rows_or_many_columns_the_network_is_asked(n, classes, columns):
    words, numbers, _ = blobs(np.random.default_rng(4), n, classes, columns, 1.0)
    assert opinion(words, numbers) is None
    assert mistdata.estimate(numbers, words).by in ("network", "regression")


def test_a_class_of_one_row_and_independence_are_no_information():
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(40):
        words = [*(f"class {each}" for each in rng.integers(0, 4, 299)), "alone"]
        found = mistdata.estimate(words, rng.standard_normal((300, 2)))
        assert found.by == "neighbours"
        alarms += found.lower > 0
    assert alarms <= 4


def test_scores_of_features_see_classes():
    """Ten classes in an order that has nothing to do with their centres."""
    rng = np.random.default_rng(6)
    words, numbers, truth = blobs(rng, 1000, 10, 1, 8.0)
    features = np.column_stack([numbers, rng.standard_normal(1000)])
    told, nothing = mistdata.mutual_information(features, words)
    assert told == pytest.approx(truth, abs=0.1) and nothing < 0.08
    table = mistdata.matrix({"a": features[:, 0], "b": features[:, 1], "word": words})
    found = {(pair.x, pair.y): pair.estimate for pair in table.pairs}
    assert found["a", "word"].median == pytest.approx(told, abs=1e-9)


def test_repeated_measurements_are_told_from_counts():
    rng = np.random.default_rng(9)
    subjects, groups = rng.normal(size=250), rng.integers(0, 2, 250)
    found = mistdata.estimate(np.repeat(subjects, 4), np.repeat(groups, 4))
    assert found.by == "neighbours" and found.lower < 0.1
    assert "rows repeat" in found.warnings[-1]
    counts = rng.poisson(3000, 1000)  # some 200 values, which repeat of themselves
    found = mistdata.estimate(counts, rng.integers(0, 2, 1000))
    assert found.by == "neighbours" and not found.warnings and found.lower == 0
