"""Features are scored as scikit-learn's selectors ask."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from mistdata import mutual_information
from tests.tiny import tiny_estimator

ESTIMATOR = tiny_estimator()
score = partial(mutual_information, model=ESTIMATOR)


def table(n=60):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 4))
    return x, x[:, 1] + rng.normal(size=n)


def test_a_score_is_the_median_of_one_feature_and_the_target():
    x, y = table()
    np.testing.assert_allclose(score(x, y), [ESTIMATOR(each, y).median for each in x.T], rtol=1e-4)


def test_several_targets_are_taken_together():
    x, y = table()
    both = np.stack([y, y**2], axis=1)
    expected = [ESTIMATOR(each, both).median for each in x.T]
    np.testing.assert_allclose(score(x, both), expected, rtol=1e-4, atol=1e-6)


def test_classes_and_mixed_frames_are_scored():
    x, y = table()
    frame = pd.DataFrame(x, columns=list("abcd")).assign(e=np.where(x[:, 0] > 0, "up", "down"))
    classes = np.digitize(y, [-1, 1])
    assert score(frame, classes).shape == (5,)
    assert score(frame, classes > 0).shape == (5,)
    words = np.array(["low", "middle", "high"])[classes]
    named, numbered = score(frame, words), score(frame, classes, y_kind="category")
    np.testing.assert_allclose(named, numbered, rtol=1e-4, atol=1e-6)


def test_a_feature_that_never_varies_tells_nothing():
    x, y = table()
    x[:, 2] = 5
    assert score(x, y)[2] == 0
    assert score(np.ones_like(x), y).tolist() == [0, 0, 0, 0]


def test_a_feature_is_judged_in_the_rows_where_the_target_is_there():
    x, y = table()
    y[:30] = np.nan
    x[30:, 2] = 5
    with pytest.warns(UserWarning, match=r"does not vary in .* both: scored 0 \(1 of 4 feat"):
        found = score(x, y)
    assert found[2] == 0
    x[:, 2] = np.where(y > 0, 1.0, np.nan)
    classes = np.where(np.isnan(y), np.nan, y > 0)
    with pytest.warns(UserWarning, match="have a missing value") as caught:
        assert score(x, classes)[2] == 0
    assert "scored 0" not in str(caught[0].message)
    x[0, 2] = 2
    x[:, 0] = np.where(y > 0, x[:, 0], np.nan)
    with pytest.warns(UserWarning, match=r"scored 0 \(2 of 4 features\)"):
        assert score(x, classes)[[0, 2]].tolist() == [0, 0]


def test_a_feature_with_too_few_rows_is_named():
    x, y = table()
    x[5:, 2] = np.nan
    with pytest.raises(ValueError, match=r"X column 2: there must be at least 8 rows .*, got 5"):
        score(x, y)
    x[:, 2] = np.nan
    with pytest.raises(ValueError, match=r"X column 2: there must be at least 8 rows .*, got 0"):
        score(x, y)
    with pytest.raises(ValueError, match="both sides must have the same number of rows, got 60"):
        score(table()[0], y[:50])


def test_no_warning_is_dropped_without_a_word():
    x, y = table()
    x = np.tile(x, 2)
    for column in range(8):
        x[: column + 1, column] = np.nan
    with pytest.warns(UserWarning, match="; and 3 more of such sentences$"):
        score(x, y)


def test_a_number_of_queries_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"queries must be .* at least 1, got -1"):
        score(*table(), queries=-1)


def test_what_the_answers_warn_of_is_warned_of_once():
    x, y = table(n=15)
    x[3, 0] = np.nan
    with pytest.warns(UserWarning, match=r"range 20\.\.500 \(3 of 4 features\)") as caught:
        score(x, y)
    assert len(caught) == 1
    assert "1 of 15 rows have a missing value and were left out (1 of 4" in str(caught[0].message)
    assert caught[0].filename == __file__


def test_a_bad_feature_is_named():
    x, y = table()
    x[3, 2] = np.inf
    with pytest.raises(ValueError, match="X column 2 must be finite"):
        score(x, y)
    with pytest.raises(ValueError, match="y must vary"):
        score(table()[0], np.zeros(60))


def test_it_selects_features_inside_a_pipeline():
    selection = pytest.importorskip("sklearn.feature_selection")
    x, y = table()
    selector = selection.SelectKBest(score, k=2).fit(x, y)
    np.testing.assert_array_equal(selector.scores_, score(x, y))
    assert selector.transform(x).shape == (60, 2)
    chosen = selection.SelectKBest(score, k=1).fit(x, (y > 0).astype(int))
    assert chosen.get_support().sum() == 1
