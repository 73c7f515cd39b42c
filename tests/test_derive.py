"""Selected and merged stores: the datasets and labels of their sources, as stores of their own."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner

import mistdata
from mistdata.cli import cli
from mistdata.derive import merge, select
from mistdata.errors import MistdataError, OtherPlan, RecipeError, VerificationFailed
from mistdata.pipeline.plan import make_plan
from mistdata.pipeline.recipe import parse_recipe
from mistdata.pipeline.run import InProcess, generate
from mistdata.repair import repair
from mistdata.store import catalog, ledger
from mistdata.verify import verify
from tests.damage import flip
from tests.in_process import refuses

KEPT = ("mi", "mi_error", "mi_method", "family", "component", "params", "n", "dim_x", "dim_y",
        "crc32c", "replicate", "split", "oracle_se", "flags")  # fmt: skip


@pytest.fixture(scope="module")
def other(tmp_path_factory, small_recipe):
    """Another store, with other splits and larger shards."""
    text = small_recipe.read_text().replace("seed = 7", "seed = 8")
    text = text.replace("shard_mib = 1", "shard_mib = 2").replace("validation", "test")
    store = tmp_path_factory.mktemp("stores") / "other"
    generate(make_plan(parse_recipe(text, "other.toml")), store, InProcess())
    return store


def require_same(derived, source):
    """Every dataset, in order, with its values and its labels."""
    assert len(derived) == len(source)
    everything = range(len(source))
    np.testing.assert_array_equal(derived.read(everything).values, source.read(everything).values)
    for name in KEPT:
        np.testing.assert_array_equal(derived.column(name), source.column(name), err_msg=name)
    seeds = [list(map(list, each.catalog["seed_key"].to_pylist())) for each in (derived, source)]
    assert seeds[0] == seeds[1]


def test_a_selection_is_a_store(small_store, tmp_path):
    where = "n >= 200 and family <> 'gaussian-lvm'"
    manifest = select(small_store, tmp_path / "out", where, name="long")
    assert (manifest.name, manifest.version) == ("long", 1)
    derived = mistdata.open(tmp_path / "out", verify="crc")
    require_same(derived, mistdata.open(small_store).where(where))
    assert derived.column("dataset_id").tolist() == list(range(len(derived)))
    assert verify(tmp_path / "out").ok
    text = ledger.read_record(tmp_path / "out").recipe
    assert mistdata.open(small_store).digest in text
    assert json.dumps(where) in text


def test_merged_stores_keep_their_distributions_apart(small_store, other, tmp_path):
    merge([small_store, other], tmp_path / "out", name="both")
    sources = [mistdata.open(store) for store in (small_store, other)]
    derived = mistdata.open(tmp_path / "out")
    assert verify(tmp_path / "out").ok
    assert sorted(set(derived.column("split"))) == ["test", "train", "validation"]
    for split in ("validation", "test"):
        (source,) = [s for s in sources if split in s.column("split")]
        condition = f"split = '{split}'"
        require_same(derived.where(condition), source.where(condition))
    train = derived.where("split = 'train'")
    first = sources[0].where("split = 'train'")
    ids = train.column("distribution_id")
    assert set(ids[: len(first)]).isdisjoint(ids[len(first) :])
    assert len(set(ids)) == sum(
        len(set(s.where("split = 'train'").column("distribution_id"))) for s in sources
    )


def test_the_same_call_resumes_and_another_is_refused(small_store, tmp_path):
    out = tmp_path / "out"
    first = select(small_store, out, "n >= 150", name="long", shard_mib=1)
    shard = ledger.shards_of(mistdata.open(out).catalog)[1]
    for name in (shard.file, shard.receipt, ledger.MANIFEST, ledger.CATALOG):
        (out / name).unlink()
    told = []
    again = select(small_store, out, "n >= 150", name="long", shard_mib=1, on_written=told.append)
    assert again == first
    assert told == [shard.stop - shard.start]
    with pytest.raises(OtherPlan):
        select(small_store, out, "n >= 151", name="long", shard_mib=1)


def test_a_damaged_source_is_not_copied(store, tmp_path):
    flip(store / "train/values/c/0", 2000)
    with pytest.raises(VerificationFailed, match="the crc32c of dataset"):
        select(store, tmp_path / "out", "n > 0", name="all")


def test_a_derived_store_is_not_made_again_from_a_recipe(small_store, tmp_path):
    out = tmp_path / "out"
    select(small_store, out, "n > 0", name="all")
    flip(out / "train/values/c/0", 2000)
    assert [problem.path for problem in verify(out).problems] == ["train/values/c/0"]
    with pytest.raises(RecipeError, match="selected, merged or imported has no recipe"):
        repair(out, InProcess())
    shutil.rmtree(out)
    select(small_store, out, "n > 0", name="all")
    assert verify(out).ok


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda store, out: select(store, out, "n > 9e9", name="none"), "no dataset meets"),
        (lambda store, out: select(store, out, "n > 9e9", name="No"), "name: expected a name of"),
        (lambda store, out: merge([store], out, name="No"), "name: expected a name of"),
        (lambda store, out: merge([store], out, name="one"), "at least two stores"),
        (lambda store, out: merge([store, store], out, name="twice"), "a store was named twice"),
    ],
)
def test_what_makes_no_store_is_refused(small_store, tmp_path, call, message):
    with pytest.raises(MistdataError, match=message):
        call(small_store, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_line_selects_and_merges(small_store, other, tmp_path):
    runner = CliRunner()
    chosen = str(tmp_path / "chosen")
    done = runner.invoke(
        cli, ["select", str(small_store), chosen, "--where", "n < 150", "--name", "short"]
    )
    assert done.exit_code == 0, done.output
    assert "sealed" in done.output
    both = str(tmp_path / "both")
    done = runner.invoke(cli, ["merge", chosen, str(other), both, "--name", "both", "--json"])
    assert done.exit_code == 0, done.output
    line = refuses(2, "select", chosen, both, "--where", "nn < 1", "--name", "x")
    assert "no column 'nn'; did you mean 'n'?" in line
    huge = ["merge", chosen, str(other), both + "2", "--name", "x", "--shard-mib", "2000"]
    assert "1<=x<=1024" in runner.invoke(cli, huge).output
    assert catalog.sizes(mistdata.open(both).catalog).sum() > 0
