"""The audit passes a sound store, and catches every kind of wrong label for real.

The false-alarm rate of a component is 6e-7 by its Z; the seeds are fixed.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mistdata import audit as audit_module
from mistdata.audit import audit
from mistdata.distributions import FAMILIES
from mistdata.distributions.base import MI
from mistdata.errors import GenerationError
from mistdata.pipeline.plan import make_plan
from mistdata.pipeline.recipe import parse_recipe, read_recipe
from mistdata.pipeline.run import InProcess, generate
from mistdata.store import catalog, ledger

WIDE = Path(__file__).parent / "data" / "wide.toml"

ONE_FAMILY = """
name = "one"
version = 1
seed = 5
shard_mib = 1
[split.train]
datasets = 400
n = 200
dim = 3
[[split.train.mixture]]
family = "{family}"
"""


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    store = tmp_path_factory.mktemp("stores") / "wide"
    generate(make_plan(read_recipe(WIDE)), store, InProcess())
    return store


@pytest.fixture(autouse=True)
def fresh():
    yield
    audit_module._open.cache_clear()


def make(tmp_path, family):
    store = tmp_path / "one"
    generate(make_plan(parse_recipe(ONE_FAMILY.format(family=family), "one")), store, InProcess())
    return store


def test_a_sound_store_passes_through_every_chain_of_maps(wide):
    result = audit(wide)
    assert result.ok, result.problems
    assert result.datasets == 400
    assert len(result.components) == 20
    assert abs(result.z_mean) < 5.0 / np.sqrt(150)
    assert 0.7 < result.z_std < 1.3
    assert len(result.worst) == 10


def test_several_processes_find_the_same(wide):
    one, two = audit(wide), audit(wide, workers=2)
    assert one == two


def test_a_wrong_constant_is_caught(tmp_path, monkeypatch):
    family = FAMILIES["student-dense"]
    right = family._mutual_information

    def wrong(self):
        return MI.closed_form(right(self).value * 1.05)

    monkeypatch.setattr(family, "_mutual_information", wrong)  # in the label and in the audit
    result = audit(make(tmp_path, "student-dense"))
    assert not result.ok
    assert "component student-dense/identity: the stored data say -" in result.problems[-1]


def test_a_sampler_that_multiplies_by_the_chi_factor_is_caught(tmp_path, monkeypatch):
    family = FAMILIES["student-sparse"]

    def wrong(self, n, rng):
        z = rng.standard_normal((n, self.dim_x + self.dim_y))
        self._correlate(z, rng)
        z *= np.sqrt(rng.chisquare(self.nu, n) / self.nu)[:, None]
        return z[:, : self.dim_x], z[:, self.dim_x :]

    monkeypatch.setattr(family, "_sample", wrong)
    result = audit(make(tmp_path, "student-sparse"))
    assert any("component student-sparse/identity" in problem for problem in result.problems)


def test_a_map_that_loses_information_in_storage_is_caught(tmp_path, monkeypatch):
    store = make(tmp_path, "gaussian-sparse")
    table = catalog.read_catalog(store / ledger.CATALOG)
    rows = [audit_module.Audited(i, "c", 200, 1.0, 1.0, 1.0, 0.5, "") for i in range(len(table))]
    assert audit_module.summarise(store, rows).ok
    lost = [audit_module.Audited(i, "c", 200, 1.0, 1.0, 0.96, 0.5, "") for i in range(len(table))]
    (problem,) = audit_module.summarise(store, lost).problems
    assert "-0.04 nats more than the labels" in problem


def relabel(store, dataset_id, mi):
    """Change a label, and make every checksum agree with it: only the audit can notice."""
    import mistdata
    from mistdata.store.seal import seal

    record = ledger.read_record(store)
    (store / ledger.MANIFEST).unlink()
    (store / ledger.CATALOG).unlink()
    _, shards = ledger.read_planned(store, record)
    shard = next(s for s in shards if s.start <= dataset_id < s.stop)
    receipt = ledger.read_receipt(store, shard)
    receipt.labels["mi"][dataset_id - shard.start] = mi
    (store / shard.receipt).write_bytes(ledger.encode_receipt(receipt))
    seal(store)
    assert mistdata.open(store)[dataset_id].mi == mi


def test_a_mislabelled_row_is_caught_by_the_command_line(tmp_path, wide):
    store = tmp_path / "copy"
    shutil.copytree(wide, store)
    command = [sys.executable, "-m", "mistdata", "verify", str(store), "--deep", "--json"]
    sound = subprocess.run(command, capture_output=True, text=True, check=False)
    assert sound.returncode == 0, sound.stderr
    assert json.loads(sound.stdout)["audit"]["ok"]
    relabel(store, 123, 0.4321)
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 5
    assert "the data contradict the labels, 1 times" in found.stderr
    (problem,) = json.loads(found.stdout)["audit"]["problems"]
    assert problem.startswith("dataset 123 (")
    assert "labelled 0.4321 nats, its distribution has " in problem
    shallow = subprocess.run(command[:-2], capture_output=True, text=True, check=False)
    assert shallow.returncode == 0  # every byte is what it was written to be


def test_values_outside_the_support_are_caught(tmp_path, monkeypatch):
    family = FAMILIES["additive-uniform"]
    right = family._sample

    def wrong(self, n, rng):
        x, y = right(self, n, rng)
        return x, y + 0.5 * (n in shifted)

    shifted = {64}  # the draws that a label is checked on
    monkeypatch.setattr(family, "_sample", wrong)
    with pytest.raises(GenerationError, match="outside the support of its own density"):
        make(tmp_path, "additive-uniform")
    shifted = {200}
    result = audit(make(tmp_path, "additive-uniform"))
    assert any("lie outside its support" in problem for problem in result.problems)
