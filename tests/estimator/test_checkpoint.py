"""A checkpoint gives back what was saved, and says what is wrong with a broken one."""

import json

import numpy as np
import pytest
import torch

from mistdata.estimator import Estimator, NetworkConfig, PairStream, Training, load_network
from mistdata.estimator.checkpoint import pack, save_config, save_weights, unpack, write_atomically

TINY = NetworkConfig(cell=4, cell_hidden=8, pair=16, blocks=1)
TRAINING = Training(store="abc", n=(50, 500), dim=(1, 4), mi=(0.0, 100.0), recipe={"seed": 1})


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    save_config(tmp_path, TINY, TRAINING)
    save_weights(tmp_path, PairStream(TINY).state_dict(), {"step": 7})
    return tmp_path


def sample(n=100, dim_x=2, dim_y=3):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, dim_x)), rng.normal(size=(n, dim_y))


def test_a_network_survives_the_disk(folder):
    torch.manual_seed(0)
    saved, (loaded, training) = PairStream(TINY), load_network(folder)
    assert training == TRAINING
    assert loaded.config == TINY
    weights = loaded.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in saved.state_dict().items())
    values = torch.randn(2, 20, 5)
    torch.testing.assert_close(loaded(values, 2), saved(values, 2))


def test_tensors_and_numbers_survive_the_disk(tmp_path):
    tensors = {"a:b": torch.arange(6).reshape(2, 3).T, "c": torch.tensor(1.5)}
    write_atomically(tmp_path / "state", pack(tensors, {"step": 3, "path": [1, 2]}))
    loaded, record = unpack(tmp_path / "state")
    assert record == {"step": 3, "path": [1, 2]}
    assert all(torch.equal(loaded[name], tensors[name]) for name in tensors)
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_a_folder_without_weights_is_refused(folder):
    (folder / "weights.safetensors").unlink()
    with pytest.raises(ValueError, match=r"not a checkpoint, it has no weights\.safetensors"):
        load_network(folder)


def test_damaged_weights_are_refused(folder):
    (folder / "weights.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(ValueError, match="not a safetensors file"):
        load_network(folder)


def test_weights_of_another_network_are_refused(folder):
    save_config(folder, NetworkConfig(cell=4, cell_hidden=8, pair=8, blocks=1), TRAINING)
    with pytest.raises(ValueError, match="the weights do not fit"):
        load_network(folder)


def test_a_later_schema_is_refused(folder):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": 99}))
    with pytest.raises(ValueError, match="schema must be 1, got 99"):
        load_network(folder)


def test_an_estimate_is_a_number_with_an_interval(folder):
    estimate = Estimator.load(folder)(*sample())
    assert 0 <= estimate.lower <= estimate.mi <= estimate.upper
    assert estimate.quantiles[estimate.levels.index(0.5)] == estimate.mi
    assert estimate.warnings == ()


def test_one_dimensional_arrays_are_single_columns(folder):
    estimator, (x, y) = Estimator.load(folder), sample(dim_x=1, dim_y=1)
    assert estimator(x[:, 0], y[:, 0]) == estimator(x, y)


def test_an_estimate_beyond_the_training_store_warns(folder):
    estimate = Estimator.load(folder)(*sample(n=20, dim_x=5))
    assert estimate.warnings == (
        "n = 20 lies outside the training range 50..500",
        "dim_x = 5 lies outside the training range 1..4",
    )


def test_unequal_numbers_of_rows_are_refused(folder):
    x, y = sample()
    with pytest.raises(ValueError, match="the same number of rows, got 100, 99"):
        Estimator.load(folder)(x, y[:99])


def test_arrays_of_more_than_two_axes_are_refused(folder):
    x, y = sample()
    with pytest.raises(ValueError, match=r"x must be \(n, columns\)"):
        Estimator.load(folder)(x[None], y)
