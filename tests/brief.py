"""A plan of three shards that is filled in milliseconds, for tests that fill it many times."""

from mistdata.pipeline.plan import make_plan
from mistdata.pipeline.recipe import parse_recipe

RECIPE = """
name = "brief"
version = 1
seed = 3
shard_mib = 1

[split.train]
datasets = 4
n = 60_000
dim = 1

[split.test]
datasets = 2
n = 60_000
dim = 1
mixture = "train"

[[split.train.mixture]]
family = "gaussian-bivariate"
"""


def brief_plan():
    """Return the plan: three shards, of two datasets each."""
    return make_plan(parse_recipe(RECIPE, "brief.toml"))
