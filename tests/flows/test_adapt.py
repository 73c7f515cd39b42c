"""A store carried to a modality: the same datasets and labels, certified, reproducible."""

import hashlib
import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import mistdata
from mistdata.audit import audit
from mistdata.cli import cli
from mistdata.cli.flowing import flow_adapt
from mistdata.cli.making import generate as generate_command
from mistdata.distributions import rebuild
from mistdata.errors import MistdataError
from mistdata.flows import adapt
from mistdata.flows.architecture import Architecture
from mistdata.flows.flow import TENSORS, Flow, load_flow, save_flow
from mistdata.flows.preparation import Logit, Standard
from mistdata.pipeline.plan import make_plan
from mistdata.pipeline.recipe import parse_recipe
from mistdata.pipeline.run import InProcess, LocalWorkers, generate
from mistdata.repair import repair
from mistdata.store import ledger
from mistdata.store.dataset import MetaDataset
from mistdata.store.place import _client, place
from mistdata.verify import verify
from tests.damage import flip
from tests.in_process import mistdata as run
from tests.in_process import refuses
from tests.servers import s3

RECIPE = """
name = "adapt-me"
version = 1
seed = 5
shard_mib = 1

[split.train]
datasets = 60
n = { uniform = [200, 1000] }
dim = { uniform = [1, 4] }

[[split.train.mixture]]
families = ["gaussian-dense", "student-identity", "copula-clayton", "mixture-inliers"]
transforms = ["identity", "asinh"]
"""


def saved_flow(folder, dim, shape, seed):
    """A flow with random weights and a scale, as a fit would leave it."""
    scale = torch.linspace(0.5, 2.0, dim)
    flow = Flow(Architecture("coupling", (dim,), layers=2, hidden=8), [Standard(scale - 1, scale)],
                shape, seed)  # fmt: skip
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    save_flow(flow, folder, {})
    return folder


@pytest.fixture(scope="module")
def flows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("flows")
    return adapt.Folders(
        saved_flow(folder / "x", 6, (2, 3), 0), saved_flow(folder / "y", 5, (5,), 1)
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    store = tmp_path_factory.mktemp("source") / "store"
    generate(make_plan(parse_recipe(RECIPE, "recipe.toml")), store, InProcess())
    return store


def with_flows(recipe):
    return recipe + '\n[flow]\nx = "x"\ny = "y"\n'


def adapted(source, flows, out, executor=None, **options):
    recipe = adapt.adapted_recipe(source, flows, **options)
    plan = adapt.plan_adapted(recipe, None, flows)
    return adapt.carry(plan, out, flows, executor or InProcess())


@pytest.fixture(scope="module")
def carried(source, flows, tmp_path_factory):
    out = tmp_path_factory.mktemp("carried") / "store"
    adapted(source, flows, out)
    return out


def test_datasets_keep_their_labels_and_get_a_certificate(source, carried, flows):
    before, after = mistdata.open(source), mistdata.open(carried)
    for name in ("mi", "mi_error", "n", "component", "distribution_id", "pmi_std"):
        assert np.array_equal(before.column(name), after.column(name)), name
    assert set(after.column("dim_x")) == {6} and set(after.column("dim_y")) == {5}
    loss = after.column("mi_loss_bound")
    assert (loss <= 1e-3 * (1 + after.column("mi"))).all() and (loss >= 0).all()
    assert (after.column("roundtrip_max") < 0.01).all()
    assert not after.column("flags").any()
    identity = json.loads((flows.x / "flow.json").read_text())["sha256"]
    assert identity == json.loads((carried / "flows/x/flow.json").read_text())["sha256"]
    assert all(value is None for value in before.column("flow_x"))
    assert set(before.column("flags")) == {0}


def test_the_card_says_that_flows_made_it_too(source, carried):
    assert "the flows in `flows`" in (carried / "README.md").read_text()
    assert "flows" not in (source / "README.md").read_text()


def test_a_row_of_the_catalog_still_rebuilds_its_member(source, carried):
    before, after = mistdata.open(source)[3], mistdata.open(carried)[3]
    again = rebuild(after.family, after.dim_x, after.dim_y, after.params)
    assert again.mutual_information().value == after.mi
    assert (again.dim_x, again.dim_y) == (before.dim_x, before.dim_y)


def test_the_rows_of_the_store_come_back_from_what_is_stored(source, carried):
    before, after = mistdata.open(source), mistdata.open(carried)
    plan = adapt.load_adapted(carried)
    for planned in plan.datasets(0, 12):
        one = after[planned.dataset_id]
        table = np.concatenate([one.x, one.y], axis=1)
        (x, y), found = adapt.recertify(carried, plan, planned, table)
        given = before[planned.dataset_id]
        scale = 1 + np.abs(given.x).max()
        assert np.abs(x - given.x).max() < 1e-3 * scale
        assert np.abs(y - given.y).max() < 1e-3 * (1 + np.abs(given.y).max())
        assert found.mi_loss_bound == pytest.approx(one.row["mi_loss_bound"], abs=1e-6)


def test_a_bucket_may_hold_a_carried_store(source, carried, flows, tmp_path, monkeypatch):
    monkeypatch.setenv("MISTDATA_CACHE", str(tmp_path))
    with s3() as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        _client.cache_clear()
        bucket = place("s3://bucket/carried")
        assert adapted(source, flows, bucket) == ledger.read_manifest(carried)
        content = bytearray((bucket / "train/values/c/0").read_bytes())
        content[1000] ^= 1
        (bucket / "train/values/c/0").write(bytes(content))
        assert repair(bucket, InProcess()).after.ok
        assert not audit(bucket).problems
        damaged = bytearray((bucket / "flows/x" / TENSORS).read_bytes())
        damaged[-1] ^= 1
        (bucket / "flows/x" / TENSORS).write(bytes(damaged))
        assert [each.path for each in verify(bucket).problems] == [f"flows/x/{TENSORS}"]


def test_a_carried_store_is_intact_and_its_data_bear_out_its_labels(carried):
    assert not verify(carried).problems
    found = audit(carried, workers=1)
    assert not found.problems and len(found.components) == 8


def test_a_deep_verification_derives_every_certificate_again(carried):
    ds, found = mistdata.open(carried), audit(carried, workers=1).certificates
    assert (found["datasets"], found["holding"]) == (60, 60)
    assert (found["ties"], found["nonfinite"]) == (0, 0)
    assert found["mi_loss_bound"] == pytest.approx(max(ds.column("mi_loss_bound")), abs=1e-6)
    assert found["roundtrip_max"] == pytest.approx(max(ds.column("roundtrip_max")), rel=0.1)
    assert 0 <= found["log_det_error"] < 1e-9
    done = CliRunner().invoke(cli, ["verify", str(carried), "--deep"])
    assert done.exit_code == 0
    assert "derived 60 certificates again: 60 hold; at most " in done.output
    done = CliRunner().invoke(cli, ["inspect", str(carried)])
    assert "certificates: 60 of 60 datasets hold; half may have lost" in done.output


def test_log_determinants_that_disagree_are_named(carried, monkeypatch):
    forward = Flow.forward

    def shifted(self, z):
        x, log_det = forward(self, z)
        return x, log_det + 1

    monkeypatch.setattr(Flow, "forward", shifted)
    problems = audit(carried, workers=1).problems
    named = [each for each in problems if "log-determinants of its flows differ by 1" in each]
    assert len(named) == 60


def test_what_is_not_certified_is_not_held_against_its_label(carried, monkeypatch):
    whole = audit(carried, workers=1)
    monkeypatch.setattr(adapt.Certificate, "holds", lambda self, mi: False)
    none = audit(carried, workers=1)
    assert (whole.weighed, whole.certificates["holding"]) == (60, 60)
    assert (none.weighed, none.certificates["holding"], none.ok) == (0, 0, True)
    assert none.components == []


def test_bytes_that_do_not_bear_out_their_certificate_are_named(carried, monkeypatch):
    """Whoever forges values can forge checksums too."""
    read = MetaDataset.read

    def blurred(self, positions):
        packed = read(self, positions)
        return packed._replace(values=packed.values.astype(np.float16).astype(np.float32))

    monkeypatch.setattr(MetaDataset, "read", blurred)
    found = audit(carried, workers=1)
    certified = [each for each in found.problems if "certified to lose" in str(each)]
    assert len(certified) > len(mistdata.open(carried)) / 2


def test_a_discrete_side_that_stays_as_it_is_needs_no_distinct_rows(flows, tmp_path):
    recipe = parse_recipe(RECIPE.replace(
        'families = ["gaussian-dense", "student-identity", "copula-clayton", "mixture-inliers"]',
        'family = "gaussian-sign"\nblocks = 2',
    ).replace('["identity", "asinh"]', '["identity"]').replace(
        "dim = { uniform = [1, 4] }", "dim = 2"), "recipe.toml")  # fmt: skip
    generate(make_plan(recipe, 4), tmp_path / "signs", InProcess())
    adapted(tmp_path / "signs", adapt.Folders(flows.x, None), tmp_path / "out")
    assert set(mistdata.open(tmp_path / "out").column("flags")) == {0}


def test_a_damaged_flow_is_named_before_it_is_copied(source, flows, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(flows.x, damaged)
    flip(damaged / TENSORS, -1)
    with pytest.raises(MistdataError, match=r"damaged/.*altered"):
        adapted(source, adapt.Folders(damaged, flows.y), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_workers_and_parts_give_the_same_bytes(source, flows, carried, tmp_path):
    digest = mistdata.open(carried).digest
    assert adapted(source, flows, tmp_path / "dask", LocalWorkers(2)).digest == digest
    plan = adapt.plan_adapted(adapt.adapted_recipe(source, flows), None, flows)
    adapt.prepare(tmp_path / "parts", plan, flows)
    assert len(plan.shards) > 1
    for part in ([1], [0]):
        generate(plan, tmp_path / "parts", InProcess(), shards=part, task=adapt.fill_adapted)
    assert adapted(source, flows, tmp_path / "parts").digest == digest


def test_a_recipe_may_name_its_flows(source, flows, carried, tmp_path):
    recipe = tmp_path / "recipe.toml"
    (tmp_path / "x").symlink_to(flows.x)
    recipe.write_text(RECIPE + f'\n[flow]\nx = "x"\ny = "{flows.y}"\n')
    result = CliRunner().invoke(
        generate_command, [str(recipe), str(tmp_path / "out"), "--in-process"]
    )
    assert result.exit_code == 0, result.output
    assert mistdata.open(tmp_path / "out").digest == mistdata.open(carried).digest


def test_the_command_carries_one_side_and_leaves_the_other(source, flows, tmp_path):
    arguments = [str(source), str(tmp_path / "out"), "--flow-x", str(flows.x), "--in-process"]
    result = CliRunner().invoke(flow_adapt, [*arguments, "--limit", "10", "--json"])
    assert result.exit_code == 0, result.output
    before, after = mistdata.open(source), mistdata.open(tmp_path / "out")
    assert json.loads(result.output)["datasets"] == len(after) == 10
    for position in range(10):
        assert np.array_equal(before[position].y, after[position].y)
    assert set(after.column("flow_y")) == {None}
    assert not audit(tmp_path / "out", workers=1).problems


def one_by_one(lines):
    """The recipe with one component of one column a side."""
    head = RECIPE.split("[[split")[0].replace("[1, 4]", "[1, 1]")
    return head + "[[split.train.mixture]]\n" + lines + "\n"


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (one_by_one("family = 'gaussian-sign'"), "Y is discrete, and a flow needs a continuous"),
        (RECIPE.replace("[1, 4]", "[1, 9]"), "dim_x goes up to 9, the flow of X has 6"),
        (RECIPE.replace("[200, 1000]", "[24000, 24100]"), "raise shard_mib"),
    ],
)
def test_what_no_flow_can_carry_is_refused_at_once(recipe, message, flows):
    with pytest.raises(MistdataError, match=message):
        adapt.plan_adapted(parse_recipe(with_flows(recipe), "recipe.toml"), None, flows)


def test_a_dataset_that_single_precision_blurs_is_refused_or_flagged(flows, tmp_path):
    lines = f"family = 'gaussian-bivariate'\nparameters = {{ rho = {1 - 1e-14} }}"
    recipe = parse_recipe(one_by_one(lines), "recipe.toml")
    generate(make_plan(recipe, 4), tmp_path / "sharp", InProcess())
    with pytest.raises(MistdataError, match="keep_uncertified"):
        adapted(tmp_path / "sharp", flows, tmp_path / "refused")
    adapted(tmp_path / "sharp", flows, tmp_path / "kept", keep_uncertified=True)
    kept = mistdata.open(tmp_path / "kept")
    assert set(kept.column("flags")) == {1}
    # What it may have lost is its error; where nothing is known, all of it.
    assert set(kept.column("mi_error_kind")) == {"uncertified_loss"}
    loss, mi = kept.column("mi_loss_bound"), kept.column("mi")
    error = kept.column("mi_error")
    assert (error <= mi).all() and (error >= np.fmin(np.nan_to_num(loss, nan=np.inf), mi)).all()


def test_a_store_is_carried_once_and_only_when_sealed(source, carried, flows, tmp_path):
    with pytest.raises(MistdataError, match="flows carry it already"):
        adapt.adapted_recipe(carried, flows)
    plan = make_plan(parse_recipe(RECIPE, "recipe.toml"))
    generate(plan, tmp_path / "part", InProcess(), shards=[0])
    with pytest.raises(MistdataError, match="not sealed"):
        adapt.adapted_recipe(tmp_path / "part", flows)


def test_an_altered_flow_is_caught_when_resuming_and_when_verifying(source, flows, tmp_path):
    out = tmp_path / "out"
    adapted(source, flows, out)
    flip(out / "flows" / "x" / TENSORS, -1)
    assert any("flows/x" in str(problem) for problem in verify(out).problems)
    assert "copy the flow back" in refuses(5, "verify", out)
    with pytest.raises(MistdataError, match="altered"):
        load_flow(out / "flows" / "x")
    other = adapt.Folders(saved_flow(tmp_path / "other", 6, (6,), 9), flows.y)
    with pytest.raises(MistdataError, match="belongs to the plan"):
        adapted(source, other, out)


def test_another_flow_with_all_its_hashes_is_not_the_one_that_the_plan_names(
    source, flows, tmp_path
):
    out = tmp_path / "out"
    adapted(source, flows, out)
    saved_flow(out / "flows" / "x", 6, (2, 3), 9)
    manifest = ledger.read_manifest(out)
    for name in (f"flows/x/{TENSORS}", "flows/x/flow.json"):
        content = (out / name).read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        manifest.files[name] = {"size": len(content), "sha256": sha256}
    (out / ledger.MANIFEST).write_bytes(ledger.encode_manifest(manifest))
    (problem,) = verify(out).problems
    assert (problem.path, problem.message) == (
        "flows/x/flow.json", "not the flow that the plan names",
    )  # fmt: skip
    assert "copy the flow back" in refuses(5, "verify", out)


def test_a_carried_store_says_what_it_looks_like(carried_store, carried):
    store = mistdata.open(carried_store)
    looks = store.modality("x")
    assert looks["kind"] == "image" and looks["levels"] == 17
    assert store[0].x.reshape(-1, *looks["shape"]).shape == (store[0].n, 8, 8)
    assert store.modality("y")["kind"] == "table"
    assert mistdata.open(carried).modality("x")["shape"] == (2, 3)
    shown = run("inspect", carried_store).stdout
    assert "X looks like images, 8 × 8" in shown and "Y looks like rows of a table, 13" in shown


def test_a_store_is_not_carried_onto_itself(source, flows):
    said = refuses(2, "flow-adapt", source, source, "--flow-x", flows.x)
    assert "OUT is STORE itself" in said


def test_a_damaged_shard_is_carried_again_and_a_damaged_flow_is_named(carried, tmp_path):
    store = tmp_path / "copy"
    shutil.copytree(carried, store)
    for name in ("train/values/c/0", f"flows/x/{TENSORS}"):
        flip(store / name, -9)
    with pytest.raises(MistdataError, match="a flow cannot be made again"):
        repair(store, InProcess())
    shutil.copy(carried / "flows" / "x" / TENSORS, store / "flows" / "x" / TENSORS)
    assert "train/values/c/0" in repair(store, InProcess()).made
    for path in filter(Path.is_file, carried.rglob("*")):
        copied = store / path.relative_to(carried)
        assert path.parent.name == ledger.LOGS or copied.read_bytes() == path.read_bytes()


def test_a_shard_is_a_function_of_the_plan_alone(source, flows, carried):
    plan = adapt.load_adapted(carried)
    make = partial(adapt.make_shard, carried, plan)
    assert np.array_equal(make(plan.shards[1])[0], make(plan.shards[1])[0], equal_nan=True)


def test_whole_grey_levels_make_labels_certified_intervals(source, flows, tmp_path):
    flow = Flow(Architecture("glow", (1, 4, 4), layers=2, hidden=8, scales=1),
                [Standard(torch.zeros(16), torch.ones(16)), Logit(256)], (4, 4))  # fmt: skip
    flow.inverse(torch.randint(40, 200, (64, 4, 4)).float())  # sets the scales
    save_flow(flow, tmp_path / "images", {})
    images = adapt.Folders(tmp_path / "images", flows.y)
    adapted(source, images, tmp_path / "out", grey_levels=True)
    before, after = mistdata.open(source), mistdata.open(tmp_path / "out")
    assert (after[0].x == np.round(after[0].x)).all() and after[0].x.max() <= 255
    assert not (after[0].y == np.round(after[0].y)).any()  # rows of a table
    loss = after.column("mi_loss_bound")
    assert set(after.column("mi_error_kind")) == {"certified_loss"}
    assert np.array_equal(before.column("mi"), after.column("mi"))
    assert loss.max() > 1e-3
    before_error, mi = before.column("mi_error"), after.column("mi")
    assert np.array_equal(after.column("mi_error"), np.minimum(before_error + loss, mi))
    assert not after.column("flags").any()
    assert not audit(tmp_path / "out", workers=1).problems
    with pytest.raises(MistdataError, match="no side is carried by a flow of images"):
        adapted(source, flows, tmp_path / "tables", grey_levels=True)


def test_a_recipe_must_name_the_flows_that_carry_it(flows):
    for text in (RECIPE, RECIPE + '\n[flow]\nx = "x"\n'):
        with pytest.raises(MistdataError, match="must name the sides"):
            adapt.plan_adapted(parse_recipe(text, "recipe.toml"), None, flows)


def test_a_sample_of_a_recipe_with_flows_says_that_it_is_drawn_before_them(tmp_path):
    (tmp_path / "recipe.toml").write_text(with_flows(RECIPE))
    shown = run("sample", tmp_path / "recipe.toml", "--csv", tmp_path / "rows.csv").stdout
    assert "before the flows" in shown.splitlines()[0]
