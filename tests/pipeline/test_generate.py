"""A shard is a pure function of the plan."""

import json
from typing import ClassVar

import numpy as np
import pytest

from mistdata.distributions.base import MI, JointDistribution
from mistdata.distributions.families import FAMILIES
from mistdata.distributions.transforms import TRANSFORMS
from mistdata.errors import GenerationError
from mistdata.pipeline.generate import generate_shard, member_of, span_in_shard
from mistdata.pipeline.plan import make_plan, seed_key
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
        for row in range(shard.start, shard.stop, 7):
            streams = Streams(plan.recipe.seed)
            member, component = member_of(plan, streams, row), plan.component(row)
            rng = streams.of_sample(*seed_key(plan.columns, row))
            x, y = member.sample(int(plan.columns["n"][row]), rng)
            for name in component.transform_x:
                x = TRANSFORMS[name].forward(x, "x")
            for name in component.transform_y:
                y = TRANSFORMS[name].forward(y, "y")
            block = np.concatenate([x, y], axis=1).astype(np.float32)
            assert values[span_in_shard(plan, row)].tobytes() == block.tobytes()
            label = labels[row - shard.start]
            assert label.mi == member.mutual_information()
            rebuilt = type(member)(
                member.dim_x,
                member.dim_y,
                **{
                    key: tuple(value) if isinstance(value, list) else value
                    for key, value in json.loads(label.params).items()
                },
            )
            assert rebuilt.mutual_information() == label.mi


def test_what_no_dataset_fills_is_nan(plan):
    for shard in plan.shards:
        values, _ = generate_shard(plan, shard)
        used = span_in_shard(plan, shard.stop - 1).stop
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
