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
