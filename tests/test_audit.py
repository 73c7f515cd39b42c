"""The audit passes a sound store, and catches every kind of wrong label for real.

The false-alarm rate of a component is 6e-7 by its Z; the seeds are fixed.
"""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from mistdata import audit as audit_module
from mistdata.audit import audit
from mistdata.distributions import FAMILIES
from mistdata.distributions.base import MI
from mistdata.distributions.transforms import TRANSFORMS
from mistdata.errors import GenerationError
from mistdata.pipeline.plan import make_plan
from mistdata.pipeline.recipe import parse_recipe, read_recipe
from mistdata.pipeline.run import InProcess, generate
from mistdata.store import catalog, ledger
from mistdata.store.dataset import open_store
from mistdata.store.seal import seal
from tests.in_process import mistdata, refuses

WIDE = Path(__file__).parent / "data" / "wide.toml"

ONE_FAMILY = """
name = "one"
version = 1
seed = 5
shard_mib = 1
[split.train]
datasets = {datasets}
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


def make(folder, family, *lines, datasets=100):
    store = folder / "one"
    recipe = "\n".join([ONE_FAMILY.format(family=family, datasets=datasets), *lines])
    generate(make_plan(parse_recipe(recipe, "one")), store, InProcess())
    return store


def test_a_sound_store_passes_through_every_chain_of_maps(wide):
    result = audit(wide)
    assert result.ok, result.problems
    assert result.datasets == 300
    mixture = read_recipe(WIDE).splits[0].mixture
    assert {each.component for each in result.components} == {each.name for each in mixture}
    assert sum(each.datasets for each in result.components) == 300
    # 100 datasets or more have 100 rows; five standard deviations of a mean and of a deviation
    assert abs(result.z_mean) < 5.0 / math.sqrt(100)
    assert abs(result.z_std - 1.0) < 5.0 / math.sqrt(200)
    assert len(result.worst) == 10


def test_several_processes_find_the_same(wide):
    one, two = audit(wide), audit(wide, workers=2)
    assert one == two


def test_the_same_family_passes_where_nothing_is_wrong(tmp_path):
    for family in ("student-dense", "additive-uniform"):
        (tmp_path / family).mkdir()
        assert audit(make(tmp_path / family, family)).ok


def test_a_wrong_constant_is_caught(tmp_path, monkeypatch):
    family = FAMILIES["student-dense"]
    right = family._mutual_information

    def wrong(self):
        return MI.closed_form(right(self).value * 1.05)

    monkeypatch.setattr(family, "_mutual_information", wrong)  # in the label and in the audit
    result = audit(make(tmp_path, "student-dense", datasets=400))
    (problem,) = result.problems
    assert problem.startswith("component student-dense/identity: the stored data say -")


def test_a_sampler_that_multiplies_by_the_chi_factor_is_caught(tmp_path, monkeypatch):
    family = FAMILIES["student-sparse"]
    cauchy = "parameters = { nu = 1 }"  # where the wrong factor differs most from the right one
    (tmp_path / "right").mkdir()
    assert audit(make(tmp_path / "right", "student-sparse", cauchy)).ok

    def wrong(self, n, rng):
        z = rng.standard_normal((n, self.dim_x + self.dim_y))
        self._correlate(z, rng)
        z *= np.sqrt(rng.chisquare(self.nu, n) / self.nu)[:, None]
        return z[:, : self.dim_x], z[:, self.dim_x :]

    monkeypatch.setattr(family, "_sample", wrong)
    result = audit(make(tmp_path, "student-sparse", cauchy))
    assert any("component student-sparse/identity" in problem for problem in result.problems)


def test_a_map_that_loses_information_is_caught(tmp_path, monkeypatch):
    def coarse(self, values):
        return np.round(2.0 * np.arcsinh(values)) / 2.0

    through_asinh = 'transform = "asinh"'
    (tmp_path / "fine").mkdir()
    assert audit(make(tmp_path / "fine", "gaussian-sparse", through_asinh)).ok
    monkeypatch.setattr(TRANSFORMS["asinh"], "_forward", coarse)
    result = audit(make(tmp_path, "gaussian-sparse", through_asinh))
    (problem,) = [each for each in result.problems if each.startswith("component")]
    assert "gaussian-sparse/asinh: the stored data say -" in problem
    assert "nats more than the labels" in problem


def relabel(store, dataset_id, mi):
    """Change a label, and make every checksum agree with it: only the audit can notice."""
    record = ledger.read_record(store)
    (store / ledger.MANIFEST).unlink()
    (store / ledger.CATALOG).unlink()
    _, shards = ledger.read_planned(store, record)
    shard = next(s for s in shards if s.start <= dataset_id < s.stop)
    receipt = ledger.read_receipt(store, shard)
    receipt.labels["mi"][dataset_id - shard.start] = mi
    (store / shard.receipt).write_bytes(ledger.encode_receipt(receipt))
    seal(store)
    assert open_store(store)[dataset_id].mi == mi


@pytest.fixture
def copy(tmp_path, wide):
    """A sealed store of the test's own, and the labels of its datasets."""
    store = tmp_path / "copy"
    shutil.copytree(wide, store)
    return store, catalog.read_catalog(store / ledger.CATALOG)["mi"].to_pylist()


def test_a_row_mislabelled_by_a_thousandth_is_caught_by_the_command_line(copy):
    store, labels = copy
    sound = mistdata("verify", store, "--deep", "--json")
    assert sound.returncode == 0, sound.stderr
    document = json.loads(sound.stdout)
    assert document["audit"]["ok"]
    assert document["digest"] == ledger.read_manifest(store).digest
    audit_module._open.cache_clear()
    relabel(store, 123, labels[123] + 0.001)
    found = mistdata("verify", store, "--deep", "--json")
    assert found.returncode == 5
    error = json.loads(found.stderr)["error"]
    assert error == f"{store}: the data contradict the labels, 1 times"
    (problem,) = json.loads(found.stdout)["audit"]["problems"]
    assert problem.startswith("dataset 123 (")
    assert f"its distribution has {labels[123]:.6g}" in problem
    assert mistdata("verify", store).returncode == 0  # every byte is what it was written to be


def test_the_text_of_a_deep_verification_names_the_problem(copy):
    store, labels = copy
    relabel(store, 7, labels[7] + 0.5)
    found = mistdata("verify", store, "--deep")
    assert found.returncode == 5
    assert "audited 300 labels" in found.stdout
    assert f"labelled {labels[7] + 0.5:.6g} nats" in found.stdout
    assert "more components, all nearer" in found.stdout
    (store / ledger.MANIFEST).unlink()
    assert "not sealed yet" in refuses(3, "verify", store, "--deep")


def test_a_damaged_store_is_not_audited(copy):
    store, _ = copy
    path = store / "train/values/c/0"
    content = bytearray(path.read_bytes())
    content[0] ^= 1
    path.write_bytes(content)
    found = mistdata("verify", store, "--deep", "--json")
    assert found.returncode == 5
    assert "1 problem found" in found.stderr
    assert "audit" not in json.loads(found.stdout)
    assert "not a mistdata store" in refuses(2, "verify", store / "train", "--deep")


def test_what_is_infinite_is_null_in_json(copy):
    store, labels = copy
    sizes = catalog.read_catalog(store / ledger.CATALOG)["n"].to_pylist()
    independent = next(i for i, mi in enumerate(labels) if mi == 0.0 and sizes[i] >= 100)
    relabel(store, independent, 0.5)  # every row says exactly 0: infinitely many standard errors
    found = mistdata("verify", store, "--deep", "--json")
    assert found.returncode == 5

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    evidence = json.loads(found.stdout, parse_constant=refuse)["audit"]
    assert evidence["worst"][0]["dataset_id"] == independent
    assert evidence["worst"][0]["z"] is None
    assert evidence["z_mean"] is evidence["z_std"] is None


def test_values_outside_the_support_are_caught(tmp_path, monkeypatch):
    family = FAMILIES["additive-uniform"]
    right = family._sample

    def wrong(self, n, rng):
        x, y = right(self, n, rng)
        y[first:] += 0.5
        return x, y

    first = 0  # the first rows are those that a label is checked on
    monkeypatch.setattr(family, "_sample", wrong)
    with pytest.raises(GenerationError, match="outside the support of its own density"):
        make(tmp_path, "additive-uniform")
    first = 100
    result = audit(make(tmp_path, "additive-uniform"))
    assert any("lie outside its support" in problem for problem in result.problems)
