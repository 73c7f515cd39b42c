"""JSON has no NaN and no infinity: `finite` is what both the command line and the report write."""

import json

import numpy as np

from mistdata.store.document import finite


def test_what_is_not_finite_becomes_null_wherever_it_stands():
    held = {"a": [1.5, float("nan"), ("b", float("-inf"))], "c": {"d": np.float64("inf")}, "n": 3}
    assert finite(held) == {"a": [1.5, None, ["b", None]], "c": {"d": None}, "n": 3}
    json.dumps(finite(held), allow_nan=False)


def test_floats_keep_as_many_digits_as_are_asked_for():
    assert finite([1 / 3, 1e300, 2, True, None], digits=3) == [0.333, 1e300, 2, True, None]
    assert finite(1 / 3) == 1 / 3
