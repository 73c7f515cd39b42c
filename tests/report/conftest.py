"""A small store that two flows carried: X to digits, Y to a table of wines."""

from contextlib import chdir

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.datasets import load_digits, load_wine

from mistdata.cli import cli

CARRIED = """
name = "carried"
version = 1
seed = 5
shard_mib = 1

[flow]
x = "digits"
y = "wine"
keep_uncertified = true

[split.train]
datasets = 20
n = 50
dim = 3

[[split.train.mixture]]
families = ["gaussian-dense", "student-identity"]
"""


@pytest.fixture(scope="session")
def carried_store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("carried")
    np.save(folder / "digits.npy", load_digits().images.astype(np.uint8))
    np.save(folder / "wine.npy", load_wine().data)
    (folder / "recipe.toml").write_text(CARRIED)
    quick = ["--layers", "1", "--hidden", "8", "--steps", "50"]
    with chdir(folder):
        for command in (
            ["flow-fit", "digits.npy", "digits", *quick],
            ["flow-fit", "wine.npy", "wine", *quick, "--examples", "5"],
            ["generate", "recipe.toml", "out", "--in-process"],
        ):
            done = CliRunner().invoke(cli, command)
            assert done.exit_code == 0, done.output
    return folder / "out"
