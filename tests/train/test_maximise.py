"""Climbing the estimate of mutual information takes the true one along."""

import numpy as np
import pytest
import torch

from mistdata.baselines.neighbours import ksg
from mistdata.estimator import CONFIGS, Estimator, Network, Training
from mistdata.estimator.checkpoint import SHIPPED
from train.maximise import Climb, Task, climb, encoder_of, paint, said

# A network begins as the Gaussian-copula information: enough to climb in this task.
UNTRAINED = "untrained"
MODELS = [UNTRAINED, *sorted(path.stem for path in SHIPPED.glob("*.safetensors"))]
STEPS = 80


@pytest.fixture(scope="module", params=MODELS)
def estimator(request):
    if request.param != UNTRAINED:
        return Estimator.load(request.param)
    torch.manual_seed(0)
    network = Network(CONFIGS["small"]).eval().requires_grad_(False)
    return Estimator(network, Training(n=(8, 500), dim=(1, 8), mi=(0.0, 10.0)))


@pytest.fixture(scope="module")
def task():
    return Task.drawn(np.random.default_rng(2))


@pytest.mark.parametrize("hidden", [0, 8])
def test_the_true_information_rises_to_the_most_possible(estimator, task, hidden):
    encoder, rng = encoder_of(hidden, seed=1), np.random.default_rng([3, hidden])
    found = climb(estimator, task, encoder, steps=STEPS, rng=rng)
    assert found.truth[0] < 0.3 * task.best
    # The truth of an encoder with a hidden layer is estimated, with a standard error below 0.02.
    error = 0.06 if hidden else 1e-6
    assert 0.95 * task.best - error < found.truth[-1] < task.best + error


def test_an_encoder_that_descends_stays_at_the_bottom(estimator, task):
    """The control: with the gradient turned round the same climb keeps nothing."""
    encoder, rng = encoder_of(0, seed=1), np.random.default_rng([3, 0])
    for parameter in encoder.parameters():
        parameter.register_hook(torch.neg)
    found = climb(estimator, task, encoder, steps=STEPS, rng=rng)
    assert found.truth[-1] < 0.05 * task.best


def test_a_climb_repeats_itself(estimator, task):
    found = [
        climb(estimator, task, encoder_of(0, seed=1), steps=5, rng=np.random.default_rng(0))
        for _ in range(2)
    ]
    assert np.array_equal(found[0].median, found[1].median)
    assert np.array_equal(found[0].truth, found[1].truth)


def test_the_truth_agrees_with_the_sample(task):
    """-½ ln(1 - r²) against the correlation of many rows and against nearest neighbours."""
    rng = np.random.default_rng(4)
    encoder = encoder_of(0, seed=5)
    x, y = task.rows(20_000, rng)
    with torch.no_grad():
        code = encoder(x)
    r = np.corrcoef(code[:, 0], y[:, 0])[0, 1]
    assert task.truth(encoder, rng) == pytest.approx(-0.5 * np.log1p(-(r**2)), abs=0.01)
    near = ksg()(code[:4000].numpy(), y[:4000].numpy(), rng)
    assert task.truth(encoder, rng) == pytest.approx(near, abs=0.04)
    assert task.linear_truth(-3 * task.direction) == pytest.approx(task.best)


def test_an_estimate_beyond_the_truth_is_said():
    flat = np.full(60, 0.5)
    found = Climb(flat, flat - 0.1, flat + 0.1, np.array([0, 60]), np.array([0.3, 0.3]))
    assert found.excess == pytest.approx(0.2)
    assert found.fooled == 1.0
    assert "exceeds the truth by +0.200 on average" in said("f", found, 0.8)
    assert "above it in 100%" in said("f", found, 0.8)


def test_a_picture_is_drawn(tmp_path):
    flat = np.full(60, 0.5)
    found = Climb(flat, flat - 0.1, flat + 0.1, np.array([0, 60]), np.array([0.3, 0.3]))
    paint({"one": found, "other": found}, 0.8).savefig(tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
