"""What an estimator may return, and what is refused."""

from types import SimpleNamespace

import numpy as np
import pytest

from mistdata.baselines.answer import LEVELS, Answer, as_answer, distribution_answer, mean_answer


@pytest.mark.parametrize("returned", [0.5, np.float32(0.5), np.array(0.5), np.array([0.5])])
def test_a_number_is_an_answer(returned):
    assert as_answer(returned) == Answer(0.5)


def test_a_tuple_is_an_interval():
    assert as_answer((0.5, 0.1, 0.9)) == Answer(0.5, 0.1, 0.9)


def test_an_object_with_a_median_and_quantiles():
    levels = (0.05, 0.5, 0.95)
    found = as_answer(SimpleNamespace(median=0.5, levels=levels, quantiles=(0.2, 0.5, 0.7)))
    assert found == Answer(0.5, 0.2, 0.7, levels, (0.2, 0.5, 0.7))


def test_an_object_with_an_interval():
    assert as_answer(SimpleNamespace(mi=0.5, lower=0.1, upper=0.9)) == Answer(0.5, 0.1, 0.9)
    assert as_answer(SimpleNamespace(estimate=0.5, lower=None, upper=None)) == Answer(0.5)


def test_the_interval_is_read_off_quantiles_that_reach_it():
    wide = Answer(0.0, levels=(0.025, 0.075, 0.925, 0.975), quantiles=(0.0, 1.0, 2.0, 3.0))
    assert (wide.lower, wide.upper) == (pytest.approx(0.5), pytest.approx(2.5))
    narrow = Answer(0.0, levels=(0.1, 0.9), quantiles=(0.0, 1.0))
    assert (narrow.lower, narrow.upper) == (None, None)


def test_draws_become_quantiles():
    found = distribution_answer(0.4, np.linspace(0.0, 1.0, 1001))
    np.testing.assert_allclose(found.quantiles, LEVELS)
    assert (found.lower, found.upper) == (pytest.approx(0.05), pytest.approx(0.95))


@pytest.mark.parametrize(
    ("returned", "error", "part"),
    [
        (float("nan"), ValueError, "must be finite, got nan"),
        (float("inf"), ValueError, "must be finite, got inf"),
        ((0.5, float("nan"), 1.0), ValueError, "lower must be finite"),
        ((0.5, 0.1), TypeError, "got 2 numbers"),
        (None, TypeError, "one number, got None"),
        (np.zeros(2), TypeError, "one number"),
        ("much", TypeError, "one number, got 'much'"),
        (SimpleNamespace(mi=0.5, levels=(0.5, 0.1), quantiles=(1, 2)), ValueError, "increase"),
        (SimpleNamespace(mi=0.5, levels=(0.1, 0.5), quantiles=(1,)), ValueError, "1 quantiles"),
        (
            SimpleNamespace(mi=0.5, levels=(0.5,), quantiles=(np.nan,)),
            ValueError,
            "quantiles must",
        ),
    ],
)
def test_what_is_no_answer_is_refused(returned, error, part):
    with pytest.raises(error, match=part):
        as_answer(returned)


def test_the_mean_of_answers_is_part_by_part():
    levels = (0.05, 0.95)
    one, other = (Answer(v, levels=levels, quantiles=(v - 1.0, v + 2.0)) for v in (1.0, 3.0))
    assert mean_answer([one, other]) == Answer(2.0, 1.0, 4.0, levels, (1.0, 4.0))
    assert mean_answer([Answer(1.0, 0.0, 2.0), Answer(3.0)]) == Answer(2.0)
    with pytest.raises(ValueError, match="same levels"):
        mean_answer([one, Answer(1.0)])
