"""The mean of several fits."""

import math

import torch
from click.testing import CliRunner

from mistdata.estimator import Training, load_network
from mistdata.estimator.checkpoint import SHIPPED, digest_of, save_weights
from tests.tiny import TINY
from train import average
from train.networks import build


def saved(path, seed, **training):
    torch.manual_seed(seed)
    network = build(TINY)
    save_weights(path, TINY, network.state_dict(), Training(**training))
    return network.state_dict()


def test_a_mean_lies_between_its_fits_and_says_what_they_were(tmp_path):
    files = [tmp_path / "first.safetensors", tmp_path / "second.safetensors"]
    first = saved(
        files[0], 1, n=(8, 400), dim=(1, 9), mi=(0.0, 3.0), rate=(0.0, 1.0), data={"name": "a"}
    )
    done = {"steps": 7, "calibration": {"datasets": [3]}}
    second = saved(
        files[1], 2, n=(20, 900), dim=(2, 5), mi=(0.5, 2.0), data={"name": "b"}, done=done
    )
    average.average([str(file) for file in files], tmp_path / "mean")
    mean, training = load_network(tmp_path / "mean")
    for name, value in mean.state_dict().items():
        torch.testing.assert_close(value, (first[name] + second[name]) / 2)
    assert (training.n, training.dim, training.mi) == ((8, 900), (1, 9), (0.0, 3.0))
    assert training.rate == (0.0, math.inf)
    assert training.done == {"steps": 7, "averaged": [digest_of(file) for file in files]}
    assert training.data == {"name": "b"}


def test_what_has_no_mean_is_refused(tmp_path):
    fits = sorted(path.stem for path in SHIPPED.glob("*.safetensors"))
    result = CliRunner().invoke(average.main, [*fits, "--out", str(tmp_path / "mean")])
    assert result.exit_code == 2 and "of different configs" in result.output
    result = CliRunner().invoke(average.main, ["small", "--out", str(tmp_path / "mean")])
    assert result.exit_code == 2 and "at least two" in result.output
