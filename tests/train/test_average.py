"""The mean of several fits."""

import torch
from click.testing import CliRunner

from mistdata.estimator import load_network
from mistdata.estimator.checkpoint import SHIPPED
from train import average


def test_a_mean_lies_between_its_fits_and_says_what_they_were(tmp_path):
    small = load_network("small")[0]
    average.average(["small", "small"], tmp_path / "same")
    same, training = load_network(tmp_path / "same")
    for name, value in small.state_dict().items():
        assert torch.equal(same.state_dict()[name], value), name
    assert len(training.done["averaged"]) == 2 and len(set(training.done["averaged"])) == 1
    assert training.data == load_network("small")[1].data


def test_what_has_no_mean_is_refused(tmp_path):
    fits = sorted(path.stem for path in SHIPPED.glob("*.safetensors"))
    result = CliRunner().invoke(average.main, [*fits, "--out", str(tmp_path / "mean")])
    assert result.exit_code == 2 and "of different configs" in result.output
    result = CliRunner().invoke(average.main, ["small", "--out", str(tmp_path / "mean")])
    assert result.exit_code == 2 and "at least two" in result.output
