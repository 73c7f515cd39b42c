"""Lines of a mixture that stand for many: alternatives, blocks, maps with parameters, MI = 0."""

import json

import numpy as np
import pytest

from mistdata.distributions import FAMILIES, TRANSFORMS, Choice, LogUniform, Uniform
from mistdata.distributions.combine import Independent, Padded
from mistdata.errors import RecipeError
from mistdata.pipeline.component import transform_words
from mistdata.pipeline.generate import generate_shard, member_of
from mistdata.pipeline.plan import make_plan
from mistdata.pipeline.recipe import parse_recipe
from mistdata.pipeline.streams import Streams

HEAD = """
name = "r"
version = 1
seed = 3
[split.train]
datasets = 60
n = 40
dim_x = { uniform = [2, 9] }
dim_y = { uniform = [2, 9] }
[[split.train.mixture]]
"""


def mixture(lines, head=HEAD):
    return parse_recipe(head + lines, "r.toml").splits[0].mixture


def error_of(lines, head=HEAD):
    with pytest.raises(RecipeError) as caught:
        parse_recipe(head + lines, "r.toml")
    (line,) = str(caught.value).splitlines()
    return line


def test_listed_families_and_transforms_are_components_that_share_the_weight():
    found = mixture(
        'families = ["copula-clayton", "copula-frank"]\n'
        'transforms = ["identity", ["asinh", "rotation"], { name = "power" }]\n'
        "weight = 6\nblocks = [1, 3]\n"
    )
    assert len(found) == 6
    assert {each.weight for each in found} == {1.0}
    assert found[1].name == "copula-clayton/asinh+rotation"
    assert found[5].name == "copula-frank/power"
    assert all(each.blocks == Uniform(1, 3) for each in found)


@pytest.mark.parametrize(
    ("lines", "parts"),
    [
        ('families = []', ["families", "a list of what family can be"]),
        ('families = ["copula-frank"]\nfamily = "copula-frank"', ["either family or families"]),
        ('families = ["copula-frnk"]\nblocks = 1', ["family", "did you mean 'copula-frank'"]),
        ('families = ["copula-frank", "copula-joe"]\nname = "a"\nblocks = 1', ["name", "no name"]),
        ('family = "copula-frank"', ["family", "copula-frank supports (1 × 1)", "`blocks` fills"]),
        ('family = "copula-frank"\nblocks = 0', ["blocks", ">= 1"]),
        ('family = "gaussian-dense"\nindependent = 1.5', ["independent", "a share between"]),
        ('family = "gaussian-dense"\nindependent = true', ["independent", "a share between"]),
        ('family = "gaussian-dense"\ntransform = { name = "spline", knot = 3 }',
         ["transform.knot", "unknown key"]),
        ('family = "gaussian-dense"\ntransform = { speed = 1 }',
         ["transform", "one or a list of"]),
        ('family = "gaussian-dense"\ntransform = { name = "linear", condition = 1e9 }',
         ["transform.condition", "values in"]),
        ('family = "copula-frank"\nblocks = 1\nparameters = { marginal_x = "norml" }',
         ["parameters.marginal_x", "one of normal", "did you mean 'normal'"]),
        ('family = "gaussian-bivariate"\nblocks = 1\nparameters = { rho = 1 }',
         ["parameters.rho", "values in (-1, 1)", "infinite"]),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_that_names_it(lines, parts):
    message = error_of(lines)
    for part in parts:
        assert part in message


def test_embeddings_need_room_for_what_they_add():
    lines = 'family = "gaussian-2pair"\ntransform_x = ["roll"]\n'
    assert "got dim_x = 2, dim_y = 2 (1 and 2 before maps)" in error_of(lines)
    mixture(lines, HEAD.replace("[2, 9]", "[3, 9]"))
    narrow = HEAD.replace("[2, 9]", "[1, 9]")
    assert "at least 2 columns for roll, got 1" in error_of(lines, narrow)


def test_words_and_their_choices():
    lines = 'family = "copula-frank"\nblocks = 1\nparameters = { marginal_x = %s }\n'
    assert mixture(lines % '"student"')[0].parameters["marginal_x"] == Choice(("student",))
    both = mixture(lines % '{ values = ["student", "normal"] }')[0].parameters["marginal_x"]
    assert both == Choice(("student", "normal"))


def test_a_component_draws_members_of_the_dimensions_asked_for():
    (component,) = mixture(
        'family = "copula-joe"\nblocks = { log_uniform = [1, 4] }\n'
        'transform_x = ["asinh", "roll", "rotation"]\ntransform_y = "permutation"\n'
    )
    assert component.blocks == LogUniform(1, 4)
    for seed in range(20):
        member = component.draw(7, 3, np.random.default_rng(seed))
        x, y = member.sample(5, np.random.default_rng(seed))
        assert (x.shape[1], y.shape[1]) == (7, 3)


def test_a_share_of_the_distributions_is_independent():
    plan = make_plan(
        parse_recipe(
            HEAD.replace("= 60", "= 400") + 'family = "gaussian-dense"\nindependent = 0.25\n', "r"
        )
    )
    streams = Streams(3)
    members = [member_of(planned, streams) for planned in plan.datasets(0, len(plan))]
    share = np.mean([isinstance(member, Independent) for member in members])
    assert abs(share - 0.25) < 5.0 * np.sqrt(0.25 * 0.75 / 400)
    default = HEAD.replace("n = 40", "n = 40\nindependent = 1")
    (component,) = mixture('family = "gaussian-dense"\n', default)
    assert component.independent == 1.0
    (component,) = mixture('family = "gaussian-dense"\nindependent = 0\n', default)
    assert component.independent == 0.0


def test_padding_makes_a_discrete_side_mixed():
    (component,) = mixture('family = "channel-bsc"\nblocks = 1\n')
    assert component.kind("discrete") == "mixed"
    member = component.draw(3, 2, np.random.default_rng(0))
    assert isinstance(member, Padded)
    assert member.x_kind == "mixed"


def test_a_limit_on_values_truncates_n_and_leaves_its_law_below():
    head = HEAD.replace("datasets = 60", "datasets = 4000").replace(
        "n = 40", "n = { log_uniform = [10, 1000] }\nvalues = 1200"
    )
    plan = make_plan(parse_recipe(head + 'family = "gaussian-dense"\n', "r"))
    n, width = plan.columns["n"], plan.columns["dim_x"] + plan.columns["dim_y"]
    assert plan.sizes.max() <= 1200
    assert n.min() >= 10
    narrow = n[width == 6]  # at most 200 rows: ln n is uniform on [ln 10, ln 200]
    middle = np.sqrt(10 * 200)
    assert abs(np.mean(narrow < middle) - 0.5) < 5.0 * 0.5 / np.sqrt(len(narrow))
    assert "values: expected datasets that fit 90 values" in error_of(
        'family = "gaussian-dense"\n', head.replace("1200", "90")
    )
    grid = HEAD.replace("n = 40", "n = 40\ngrid = true\nvalues = 100")
    assert "no limit where the grid lists n" in error_of('family = "gaussian-dense"\n', grid)


def test_labels_are_strict_unless_the_split_is_called_train():
    text = HEAD + 'family = "gaussian-dense"\n'
    assert [split.strict for split in parse_recipe(text, "r").splits] == [False]
    for old, new, strict in [
        ("split.train", "split.test", True),
        ("n = 40", "n = 40\nstrict = true", True),
    ]:
        assert [s.strict for s in parse_recipe(text.replace(old, new), "r").splits] == [strict]


def test_a_label_that_is_not_exact_enough_stops_the_run(monkeypatch):
    from mistdata.distributions.base import MI, JointDistribution
    from mistdata.errors import GenerationError

    class Vague(FAMILIES["gaussian-dense"]):
        name = "vague"

        def _mutual_information(self):
            return MI(1.0, 0.01, "quadrature", "quad_halving", 0.5)

    assert issubclass(Vague, JointDistribution)
    monkeypatch.setitem(FAMILIES, "vague", Vague)
    plan = make_plan(parse_recipe(HEAD + 'family = "vague"\n', "r.toml"))
    with pytest.raises(GenerationError, match=r"the error 0\.01 \(quad_halving\), at most 0\.002"):
        generate_shard(plan, plan.shards[0])


def test_the_catalog_names_maps_and_their_parameters():
    plan = make_plan(
        parse_recipe(
            HEAD + 'family = "gaussian-dense"\ntransform = { name = "linear", condition = 3 }\n',
            "r",
        )
    )
    planned = plan.datasets(0, 1)[0]
    assert transform_words(planned.component.transform_x) == "linear"
    _, labels = generate_shard(plan, plan.shards[0])
    params = json.loads(labels[0].params)
    assert params["transform_x"][0]["name"] == "linear"
    assert params["transform_x"][0]["condition"] == 3.0
    assert params["transform_x"][0]["structure"] != params["transform_y"][0]["structure"]


def test_old_recipes_keep_their_plan_and_new_keys_change_it():
    plain = HEAD + 'family = "gaussian-dense"\n'
    hashes = {
        make_plan(parse_recipe(text, "r")).hash
        for text in (
            plain,
            plain + "blocks = 1\n",
            plain + "independent = 0.5\n",
            plain + 'transform = "linear"\n',
            plain + 'transform = { name = "linear", condition = 3 }\n',
            plain.replace("n = 40", "n = 40\nstrict = true"),
        )
    }
    assert len(hashes) == 6


def test_every_transform_can_stand_in_a_recipe():
    for name in TRANSFORMS:
        mixture(f'family = "gaussian-dense"\ntransform = "{name}"\n', HEAD.replace("2, 9", "5, 9"))


def test_the_columns_before_an_embedding_are_checked_at_both_ends():
    line = 'family = "gaussian-2pair"\ntransform = {{ name = "lift", extra = {} }}\n'
    mixture(line.format("[1, 3]"), HEAD.replace("2, 9", "5, 9"))
    with pytest.raises(RecipeError, match=r"dim_x = 5, .* \(1 and 1 before maps\)"):
        mixture(line.format("[1, 4]"), HEAD.replace("2, 9", "5, 9"))
    with pytest.raises(RecipeError, match=r"transform.extra: expected values in {1, ..., 4}"):
        mixture(line.format(5), HEAD.replace("2, 9", "5, 9"))


def test_a_map_that_depends_on_the_dimensions_is_checked_at_them():
    line = 'family = "gaussian-dense"\ntransform = ["asinh", { name = "spiral", plane = 4 }]\n'
    mixture(line, HEAD.replace("2, 9", "5, 9"))
    with pytest.raises(RecipeError, match=r"transform.plane: expected values in {0, ..., 3}"):
        mixture(line, HEAD.replace("2, 9", "4, 9"))
