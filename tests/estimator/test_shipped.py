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


def symbols(n, rng):
    """Three symbols, and four of which three tenths copy them: I = .101 nats."""
    x, other = rng.integers(0, 3, n), rng.integers(0, 4, n)
    return x.astype(float), np.where(rng.random(n) < 0.3, x, other).astype(float)


@pytest.mark.parametrize("model", MODELS)
def test_rows_of_a_long_sample_of_symbols_stand_for_all(model):
    """Query rows were once all of one or two cells of the table, and the answer was off by .2."""
    rng = np.random.default_rng(3)
    for _ in range(5):
        x, y = symbols(5000, rng)
        assert mistdata.estimate(x, y, model=model).median == pytest.approx(0.101, abs=0.06)
        few = dict(zip("xy", symbols(1000, rng), strict=True))
        assert np.nanmax(mistdata.matrix(few, model=model).array()) == pytest.approx(0.1, abs=0.1)
