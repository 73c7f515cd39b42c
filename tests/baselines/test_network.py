"""Our own network as a baseline: what it answers, and a version that follows its weights."""

import numpy as np
import pytest
import torch

from mistdata.baselines import as_answer
from mistdata.baselines.network import Network, network_bootstrap
from mistdata.estimator.checkpoint import save_weights
from tests.tiny import TINY, tiny_estimator


@pytest.fixture
def folder(tmp_path):
    """A checkpoint of a tiny network."""
    estimator = tiny_estimator()
    save_weights(tmp_path, TINY, estimator.network.state_dict(), estimator.training)
    return tmp_path


def test_it_answers_with_the_median_and_the_quantiles(folder):
    x, y = np.random.default_rng(0).standard_normal((2, 50, 2)).astype(np.float32)
    found = tiny_estimator()(x, y)
    answer = Network(checkpoint=str(folder))(x, y)
    assert answer == as_answer(found)
    assert answer.estimate == found.median
    assert answer.levels == tuple(found.levels)
    assert answer.lower == pytest.approx(found.interval[0])


def test_the_version_follows_the_weights(folder):
    before = Network(checkpoint=str(folder)).version
    assert Network(checkpoint=str(folder)).version == before
    estimator = tiny_estimator()
    weights = estimator.network.state_dict()
    name = next(name for name, each in weights.items() if each.is_floating_point())
    changed = weights | {name: torch.zeros_like(weights[name])}
    save_weights(folder, TINY, changed, estimator.training)
    now = Network(checkpoint=str(folder)).version
    assert now != before and network_bootstrap(checkpoint=str(folder)).version == now


def test_the_version_follows_the_conformal_layer(folder):
    before = Network(checkpoint=str(folder)).version
    estimator = tiny_estimator()
    offsets = 0.1 + estimator.network.offsets
    save_weights(folder, TINY, estimator.network.state_dict(), estimator.training, offsets)
    assert Network(checkpoint=str(folder)).version != before


def test_the_bootstrap_spreads_around_the_median(folder):
    x, y = np.random.default_rng(0).standard_normal((2, 60, 2)).astype(np.float32)
    estimate = network_bootstrap(checkpoint=str(folder), resamples=20)
    answers = [estimate(x, y, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert answers[0] == answers[1] != answers[2]
    assert answers[0].estimate == tiny_estimator()(x, y).median
    assert answers[0].lower < answers[0].upper
    with pytest.raises(ValueError, match="at least 2, got 1"):
        network_bootstrap(checkpoint=str(folder), resamples=1)
