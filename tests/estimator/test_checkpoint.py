"""A file of weights gives back what was saved, and says what is wrong with a broken one."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from mistdata.estimator import Network, NetworkConfig, Training, load_network
from mistdata.estimator.checkpoint import (
    find_weights,
    pack,
    save_weights,
    unpack,
    write_atomically,
)

TINY = NetworkConfig(cell=4, cell_hidden=8, pair=16, product=8, blocks=1, row=16)
TRAINING = Training(
    n=(50, 500), dim=(1, 4), mi=(0.0, 100.0), data={"name": "a"}, done={"steps": 7}
)


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    save_weights(tmp_path, TINY, Network(TINY).state_dict(), TRAINING)
    return tmp_path


def rewrite(path, **changes):
    weights, record = unpack(path)
    path.write_bytes(pack(weights, record | changes))


def test_a_network_survives_the_disk(folder):
    torch.manual_seed(0)
    saved, (loaded, training) = Network(TINY).eval(), load_network(folder)
    assert training == TRAINING
    assert loaded.config == TINY
    weights = loaded.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in saved.state_dict().items())
    values = torch.randn(2, 20, 5)
    torch.testing.assert_close(loaded(values, 2), saved(values, 2))


def test_provenance_travels_inside_the_file(folder):
    with safe_open(folder / "weights.safetensors", framework="pt") as file:
        record = json.loads(file.metadata()["record"])
    assert record["training"]["data"] == {"name": "a"}
    assert record["training"]["done"] == {"steps": 7}


def test_tensors_and_numbers_survive_the_disk(tmp_path):
    tensors = {"a:b": torch.arange(6).reshape(2, 3).T, "c": torch.tensor(1.5)}
    write_atomically(tmp_path / "state", pack(tensors, {"step": 3, "path": [1, 2]}))
    loaded, record = unpack(tmp_path / "state")
    assert record == {"step": 3, "path": [1, 2]}
    assert all(torch.equal(loaded[name], tensors[name]) for name in tensors)
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_weights_are_found_by_folder_file_and_name(folder, monkeypatch):
    file = folder / "weights.safetensors"
    assert find_weights(folder) == find_weights(str(file)) == file
    monkeypatch.setattr("mistdata.estimator.checkpoint.SHIPPED", folder)
    assert find_weights("weights") == file


def test_weights_that_are_nowhere_are_refused_with_what_is_shipped(folder, monkeypatch):
    monkeypatch.setattr("mistdata.estimator.checkpoint.SHIPPED", folder)
    with pytest.raises(ValueError, match=r"medium: no weights there \(shipped: weights\)"):
        load_network("medium")


def test_damaged_weights_are_refused(folder):
    (folder / "weights.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(ValueError, match="not a safetensors file"):
        load_network(folder)


def test_weights_of_another_network_are_refused(folder):
    other = NetworkConfig(cell=4, cell_hidden=8, pair=8, product=8, blocks=1, row=16)
    rewrite(folder / "weights.safetensors", network=other.to_json())
    with pytest.raises(ValueError, match="not the weights of an estimator: Error"):
        load_network(folder)


def test_a_training_state_is_no_estimator(folder):
    path = folder / "weights.safetensors"
    path.write_bytes(pack(unpack(path)[0], {"step": 3}))
    with pytest.raises(ValueError, match="not the weights of an estimator: 'training'"):
        load_network(folder)


def test_a_later_schema_is_refused(folder, monkeypatch):
    monkeypatch.setattr("mistdata.estimator.checkpoint.SCHEMA", 1)
    with pytest.raises(ValueError, match="schema must be 1, got 2"):
        load_network(folder)


def test_shipped_names_come_before_paths_of_the_same_name(tmp_path, monkeypatch):
    shipped = find_weights("small")
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "weights.safetensors").touch()
    monkeypatch.chdir(tmp_path)
    assert find_weights("small") == shipped
    for path in ("./small", Path("small"), tmp_path / "small"):
        assert find_weights(path).samefile(tmp_path / "small" / "weights.safetensors")
