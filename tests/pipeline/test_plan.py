"""A plan decides everything in advance, the same way everywhere."""

from pathlib import Path

import numpy as np
import pytest

from mistdata.pipeline.generate import member_of
from mistdata.pipeline.plan import make_plan
from mistdata.pipeline.recipe import parse_recipe, read_recipe
from mistdata.pipeline.streams import Streams

PIPELINES = Path(__file__).parents[2] / "pipelines"


@pytest.fixture(scope="module")
def train():
    return make_plan(read_recipe(PIPELINES / "mist-train.toml"))


def test_no_dataset_crosses_a_shard_and_none_overlap(train):
    offset, sizes, length = train.columns["offset"], train.sizes, train.shard_length
    assert (offset // length == train.columns["shard"]).all()
    assert ((offset + sizes - 1) // length == train.columns["shard"]).all()
    assert (offset[1:] >= offset[:-1] + sizes[:-1]).all()
    assert (np.diff(train.columns["shard"]) <= 1).all()
    waste = 1 - sizes.sum() / (len(train.shards) * length)
    assert waste < 0.01


def test_shards_cover_every_dataset_once(train):
    covered = np.concatenate([np.arange(s.start, s.stop) for s in train.shards])
    assert (covered == np.arange(len(train))).all()
    assert [s.index for s in train.shards] == list(range(len(train.shards)))


def test_sizes_and_components_follow_the_recipe(train):
    columns = train.columns
    assert (columns["n"].min(), columns["n"].max()) == (10, 500)
    assert (columns["dim_x"].min(), columns["dim_x"].max()) == (2, 32)
    assert (columns["dim_x"] == columns["dim_y"]).all()
    counts = np.bincount(columns["component"])
    expected = len(train) / 16
    assert abs(counts - expected).max() < 5 * np.sqrt(expected)  # false alarm < 1e-5


def test_a_shard_is_a_mixture(train):
    for shard in train.shards[:20]:
        rows = slice(shard.start, shard.stop)
        assert len(np.unique(train.columns["component"][rows])) == 16


def test_a_limit_keeps_the_first_datasets_of_each_split(small_recipe):
    recipe = read_recipe(small_recipe)
    full, limited = make_plan(recipe), make_plan(recipe, 30)
    assert full.hash != limited.hash
    for split in (0, 1):
        kept = limited.columns["split"] == split
        assert kept.sum() == 30
        for name in ("component", "n", "dim_x", "dim_y", "distribution_id", "replicate"):
            theirs = full.columns[name][full.columns["split"] == split][:30]
            assert (limited.columns[name][kept] == theirs).all()


def test_replicates_share_the_member_and_nothing_else(small_recipe):
    plan = make_plan(read_recipe(small_recipe))
    first, second = np.flatnonzero(
        (plan.columns["distribution_id"] == 5) & (plan.columns["split"] == 0)
    )
    streams = Streams(plan.recipe.seed)
    datasets = plan.datasets(0, len(plan))
    one, other = datasets[first], datasets[second]
    assert repr(member_of(one, streams)) == repr(member_of(other, streams))
    assert one.n == other.n
    assert (one.replicate, other.replicate) == (0, 1)


def test_a_grid_crosses_n_and_components():
    plan = make_plan(read_recipe(PIPELINES / "mist-test.toml"))
    imd = plan.columns["split"] == 0
    cells = np.stack([plan.columns["n"][imd], plan.columns["component"][imd]], axis=1)
    values, counts = np.unique(cells, axis=0, return_counts=True)
    assert len(values) == 20 * 6
    assert (counts == 9).all()
    assert np.unique(cells[:, 0]).tolist() == np.rint(np.linspace(10, 500, 20)).tolist()


def test_components_can_have_dimensions_of_their_own(small_recipe):
    plan = make_plan(read_recipe(small_recipe))
    names = np.array([each.component.name for each in plan.datasets(0, len(plan))])
    additive = (names == "additive-uniform/wiggly") & (plan.columns["split"] == 0)
    assert additive.any()
    assert (plan.columns["dim_x"][additive] == plan.columns["dim_y"][additive]).all()
    others = ~additive & (plan.columns["split"] == 0)
    assert (plan.columns["dim_x"][others] != plan.columns["dim_y"][others]).any()


def test_hardly_any_two_distributions_are_the_same(train):
    datasets, streams = train.datasets(0, len(train))[::100], Streams(train.recipe.seed)
    seen = {(each.component.name, repr(member_of(each, streams))) for each in datasets}
    assert len(seen) == len(datasets)


def test_planning_twice_is_the_same(small_recipe):
    text = small_recipe.read_text()
    one, other = (make_plan(parse_recipe(text, source)) for source in ("a", "b"))
    assert one.hash == other.hash
    assert all((one.columns[name] == other.columns[name]).all() for name in one.columns)
