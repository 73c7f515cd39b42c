"""A fit is opened as the kind of network that it is, and never as another."""

import re

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from mistdata.baselines import as_answer
from mistdata.estimator import Estimator, Network, NetworkConfig, Training, load_network
from mistdata.estimator.checkpoint import save_weights
from train import networks
from train.fit import main
from train.networks import CONFIGS, Fitted, build, open_network
from train.reference import Reference, ReferenceConfig

OURS = NetworkConfig(cell=4, cell_hidden=8, pair=16, product=8, blocks=1, row=16)
PUBLISHED = ReferenceConfig(width=16, heads=2, hidden=32, inducing=4, seeds=3)
TRAINING = Training(n=(50, 500), dim=(1, 4), mi=(0.0, 100.0))


def saved(config, folder):
    torch.manual_seed(0)
    network = build(config)
    save_weights(folder, config, network.state_dict(), TRAINING)
    return network.eval()


@pytest.mark.parametrize(("config", "kind"), [(OURS, Network), (PUBLISHED, Reference)])
def test_every_kind_survives_the_disk(tmp_path, config, kind):
    network = saved(config, tmp_path)
    opened, training = open_network(tmp_path)
    assert type(opened) is type(network) is kind
    assert opened.config == config
    assert training == TRAINING
    values = torch.randn(2, 20, 5)
    torch.testing.assert_close(opened(values, 2), network(values, 2))


def test_the_package_refuses_the_published_kind(tmp_path):
    saved(PUBLISHED, tmp_path)
    with pytest.raises(ValueError, match="a network of the kind 'reference', expected network"):
        load_network(tmp_path)


def test_ours_is_written_without_a_kind():
    """So that what reads weights today reads those of tomorrow."""
    assert "kind" not in OURS.to_json()


def test_a_fit_is_an_estimator_of_the_benchmark(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 60, 2))
    saved(PUBLISHED, tmp_path)
    fitted = Fitted(checkpoint=str(tmp_path))
    answer = as_answer(fitted(x, y))
    assert answer.levels == PUBLISHED.levels
    assert re.fullmatch("weights [0-9a-f]{12}", fitted.version)


@pytest.mark.parametrize("by", ["neighbours", "table"])
def test_a_fit_answers_with_nothing_beside_it(tmp_path, by):
    """Of a dependence that they see and a network of random weights does not."""
    saved(PUBLISHED, tmp_path)
    x, noise = np.random.default_rng(0).standard_normal((2, 500))
    y = x + 1e-6 * noise if by == "neighbours" else x > 0
    x = x if by == "neighbours" else y
    fitted = Fitted(checkpoint=str(tmp_path))
    values = torch.from_numpy(np.stack([x, y], axis=1).astype(float))[None]
    own = fitted.network(values, 1)[0]
    assert Estimator(fitted.network, fitted.training)(x, y).by == by
    assert fitted(x, y).by == "network"
    np.testing.assert_allclose(fitted(x, y).quantiles, own.numpy(), rtol=1e-5)


def test_the_command_line_fits_the_published_kind(small_store, tmp_path, monkeypatch):
    monkeypatch.setattr("train.fit.CONFIGS", CONFIGS | {"reference": PUBLISHED})
    out = tmp_path / "fit"
    arguments = ["--store", str(small_store), "--out", str(out), "--threads", "1"]
    result = CliRunner().invoke(main, [*arguments, "--config", "reference", "--steps", "2"])
    assert result.exit_code == 0, result.output
    network, training = open_network(out)
    assert isinstance(network, Reference)
    settings = networks.SETTINGS["reference"]
    assert {name: training.recipe[name] for name in settings} == settings
