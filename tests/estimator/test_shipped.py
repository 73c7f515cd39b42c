"""What the shipped weights must answer, whoever trained them."""

import math

import numpy as np
import pytest

import mistdata
from mistdata.estimator.checkpoint import SHIPPED

MODELS = sorted(path.stem for path in SHIPPED.glob("*.safetensors"))


def equicorrelated(n, columns, rho, seed):
    """Normal columns of which any two have the same correlation, and I of their halves."""
    rng = np.random.default_rng(seed)
    common, own = rng.normal(size=(n, 1)), rng.normal(size=(n, columns))
    half = columns // 2
    ratio = half * half * rho * rho / ((1 - rho) * (1 + (columns - 1) * rho))
    return math.sqrt(rho) * common + math.sqrt(1 - rho) * own, math.log1p(ratio) / 2


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("n", "columns"), [(1000, 50), (5000, 100), (10_000, 100)])
def test_thousands_of_pairs_of_a_long_normal_sample_add_nothing(model, n, columns):
    """They once added half a nat, and more with more rows."""
    values, truth = equicorrelated(n, columns, 0.5, seed=n + columns)
    found = mistdata.estimate(values[:, : columns // 2], values[:, columns // 2 :], model=model)
    assert found.median == pytest.approx(truth, abs=0.15)
