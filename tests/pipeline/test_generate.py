"""A shard is a pure function of the plan."""

import json
from typing import ClassVar

import numpy as np
import pytest

from mistdata.distributions.base import MI, JointDistribution
from mistdata.distributions.combine import rebuild
from mistdata.distributions.families import FAMILIES
from mistdata.distributions.transforms import TRANSFORMS
from mistdata.errors import GenerationError
from mistdata.pipeline.component import transform_words
from mistdata.pipeline.generate import generate_shard, member_of, sample_of
from mistdata.pipeline.plan import make_plan
from mistdata.pipeline.recipe import parse_recipe, read_recipe
from mistdata.pipeline.streams import Streams


@pytest.fixture(scope="module")
def plan(small_recipe):
    return make_plan(read_recipe(small_recipe))


def test_the_same_shard_twice_is_the_same_bytes(plan):
    one, labels = generate_shard(plan, plan.shards[0])
    other, again = generate_shard(plan, plan.shards[0])
    assert one.tobytes() == other.tobytes()
    assert labels == again


def test_every_dataset_can_be_rebuilt_alone(plan):
    for shard in plan.shards:
        values, labels = generate_shard(plan, shard)
        datasets = plan.datasets(shard.start, shard.stop)
        for planned, label in list(zip(datasets, labels, strict=True))[::7]:
            streams = Streams(plan.recipe.seed)
            member = member_of(planned, streams)
            block = np.concatenate(sample_of(planned, member, streams), axis=1)
            assert block.shape == (planned.n, planned.dim_x + planned.dim_y)
            assert values[planned.span].tobytes() == block.astype(np.float32).tobytes()
            mi = member.mutual_information()
            assert (label.mi, label.mi_error, label.mi_method) == (mi.value, mi.error, mi.method)
            params = json.loads(label.params)
            rebuilt = rebuild(planned.component.family.name, *block_dims(planned), params)
            assert rebuilt.mutual_information() == mi


def block_dims(planned):
    return planned.dim_x, planned.dim_y


def test_transforms_apply_from_the_left(plan):
    planned = next(
        each
        for each in plan.datasets(0, len(plan))
        if transform_words(each.component.transform_x) == "wiggly+half-cube"
    )
    streams = Streams(plan.recipe.seed)
    member = member_of(planned, streams)
    (plain,) = member.parts
    x, _ = plain.sample(planned.n, streams.of_sample(0, planned.distribution, planned.replicate))
    for name in ("wiggly", "half-cube"):
        x = TRANSFORMS[name](planned.dim_x, "x").forward(x)
    assert (sample_of(planned, member, streams)[0] == x).all()


def test_what_no_dataset_fills_is_nan(plan):
    for shard in plan.shards:
        values, _ = generate_shard(plan, shard)
        used = plan.datasets(shard.start, shard.stop)[-1].span.stop
        assert np.isfinite(values[:used]).all()
        assert np.isnan(values[used:]).all()


class Broken(JointDistribution):
    """A family whose third dataset is not finite."""

    name = "broken"
    parameters: ClassVar = {}
    formula = source = ""
    poison = np.nan
    sampled = 0

    def _sample(self, n, rng):
        x = rng.standard_normal((n, self.dim_x))
        Broken.sampled += 1
        if Broken.sampled == 3:
            x[-1, -1] = self.poison
        return x, x[:, : self.dim_y]

    def _mutual_information(self):
        return MI.closed_form(0.0)


@pytest.mark.parametrize("poison", [np.nan, np.inf, 1e300])
def test_a_value_that_is_not_finite_stops_the_shard_and_names_the_dataset(monkeypatch, poison):
    monkeypatch.setitem(FAMILIES, "broken", Broken)
    monkeypatch.setattr(Broken, "poison", poison)
    monkeypatch.setattr(Broken, "sampled", 0)
    text = """
name = "bad"
version = 1
seed = 1
[split.train]
datasets = 5
n = 20
dim = 2
[[split.train.mixture]]
family = "broken"
"""
    plan = make_plan(parse_recipe(text, "bad.toml"))
    with pytest.raises(GenerationError, match=r"bad: shard train/0, dataset 2 \(broken/"):
        generate_shard(plan, plan.shards[0])


def test_a_transform_that_would_saturate_stops_the_shard(monkeypatch):
    text = """
name = "saturated"
version = 1
seed = 1
[split.train]
datasets = 50
n = 200
dim = 2
[[split.train.mixture]]
family = "student-identity"
transform = "normal-cdf"
parameters = { nu = 1 }
"""
    plan = make_plan(parse_recipe(text, "saturated.toml"))
    with pytest.raises(GenerationError, match=r"saturated: shard train/0, dataset 0 .*normal-cdf"):
        generate_shard(plan, plan.shards[0])
