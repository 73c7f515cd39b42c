"""Every mistake in a recipe is one line: file, key, expectation, finding, nearest name."""

from pathlib import Path

import pytest

from mistdata.distributions.priors import Choice, LogUniform, Uniform
from mistdata.errors import RecipeError
from mistdata.pipeline.plan import make_plan
from mistdata.pipeline.recipe import parse_recipe, read_recipe

PIPELINES = Path(__file__).parents[2] / "pipelines"
GOOD = """
name = "r"
version = 1
seed = 3
[split.train]
datasets = 10
n = 50
dim = 3
[[split.train.mixture]]
family = "gaussian-sparse"
transform = "wiggly"
parameters = { strength = [0.1, 5.0] }
"""


def error_of(text):
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, "r.toml")
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("r.toml: ")
    return message


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("seed = 3", "sed = 3", ["seed", "whole number >= 0", "'sed'", "did you mean 'seed'"]),
        ("seed = 3", "", ["seed", "whole number >= 0", "missing"]),
        ("seed = 3", "seed = 1" + 5000 * "0", ["expected TOML"]),
        ("seed = 3", "seed = 1" + 50 * "0", ["seed", "<= "]),
        ("datasets = 10", "datasets = 1000000000000", ["datasets", "<= 100000000"]),
        ("dim = 3", "dim_x = 60_000\ndim_y = [1, 60_000]", ["fit a shard"]),
        ('seed = 3', 'seed = 3\nsede = 4', ["sede", "unknown key", "did you mean 'seed'"]),
        ('seed = 3', 'seed = 3.5', ["seed", "whole number", "got 3.5"]),
        ('seed = 3', 'seed = true', ["seed", "got True"]),
        ('seed = 3', 'seed = -1', ["seed", ">= 0", "got -1"]),
        ('name = "r"', 'name = "R x"', ["name", "lower-case", "'R x'"]),
        ("datasets = 10", "datasets = 0", ["split.train.datasets", ">= 1", "got 0"]),
        ("datasets = 10", "datasets = 10\nreplicates = 3", ["datasets", "multiple", "10"]),
        ("datasets = 10", "datasets = 10\ngrid = 1", ["grid", "true or false", "got 1"]),
        ("datasets = 10", "datsets = 10", ["split.train.datasets", "'datsets'"]),
        ("n = 50", "n = [50, 10]", ["split.train.n", "low <= high"]),
        ("n = 50", "n = 0", ["split.train.n", ">= 1"]),
        ("n = 50", "n = 5.5", ["split.train.n", "whole"]),
        ("n = 50", "n = { unifrom = [1, 5] }", ["unifrom", "did you mean 'uniform'"]),
        ("n = 50", "n = { uniform = [1, 5], values = [3] }", ["one form at a time"]),
        ("n = 50", "n = { linspace = [1, 5] }", ["3 numbers needed"]),
        ("n = 50", "n = { values = [] }", ["must not be empty"]),
        ("n = 50", "n = { values = 3 }", ["values takes a list"]),
        ("n = 50", "n = { log_uniform = [0, 5] }", ["0 < low"]),
        ("n = 50", "n = inf", ["split.train.n", "got inf"]),
        ("n = 50", "n = 50_000_000", ["split.train.n", "fit a shard of 16 MiB"]),
        ("n = 50", "n = [10, 20]\ngrid = true", ["values", "because grid = true"]),
        ("dim = 3", "dim_x = 3", ["split.train.dim", "both dim_x and dim_y"]),
        ("dim = 3", "", ["split.train.dim", "missing"]),
        ("dim = 3", "dim = 3\ndim_x = 3", ["split.train.dim", "either dim"]),
        ("dim = 3", 'dim = "three"', ["split.train.dim", "'three'"]),
        ("gaussian-sparse", "gausian-sparse", ["family", "did you mean 'gaussian-sparse'"]),
        ("wiggly", "wigly", ["transform", "did you mean 'wiggly'"]),
        ('transform = "wiggly"', "transform = []", ["transform", "one or a list of"]),
        (
            'transform = "wiggly"',
            'transform = "wiggly"\ntransform_x = "asinh"',
            ["transform_x", "either transform"],
        ),
        ("strength", "strenght", ["parameters.strenght", "did you mean 'strength'"]),
        ("[0.1, 5.0]", "[-1, 5.0]", ["parameters.strength", "values in [0, 1000]", "[-1, 5.0]"]),
        ("[0.1, 5.0]", '["a", 5.0]', ["parameters.strength", "'a' is not a number"]),
        ("[0.1, 5.0]", "nan", ["parameters.strength", "got nan"]),
        ("{ strength = [0.1, 5.0] }", "{ pairs = [1, 4] }", ["pairs", "{1, ..., 3}", "dim_x = 3"]),
        ("{ strength = [0.1, 5.0] }", "3", ["parameters", "a table", "got 3"]),
        ("[[split.train.mixture]]", "[split.train.mixture]", ["mixture", "name of another split"]),
        ("[[split.train.mixture]]", "[[split.train.mixtures]]", ["mixture", "'mixtures'"]),
        ("[split.train]", "[split.Train]", ["split.'Train'", "lower-case"]),
        ('"gaussian-sparse"', '"gaussian-sparse"\nweight = 0', ["weight", "> 0", "got 0"]),
        ("seed = 3", "seed = 3\nshard_mib = 0", ["shard_mib", ">= 1 and <= 64"]),
        ("[split.train]", "[split.train", ["expected TOML"]),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_that_names_it(old, new, parts):
    assert old in GOOD
    message = error_of(GOOD.replace(old, new))
    for part in parts:
        assert part in message


def test_a_family_must_support_the_dimensions():
    message = error_of(
        GOOD.replace("dim = 3", "dim_x = 3\ndim_y = [3, 4]")
        .replace("gaussian-sparse", "additive-uniform")
        .replace("parameters = { strength = [0.1, 5.0] }", "")
    )
    assert "additive-uniform supports (d × d), got dim_x = 3, dim_y = 4" in message


def test_two_lines_of_a_mixture_need_two_names():
    twice = GOOD + GOOD[GOOD.index("[[split") :]
    assert "mixture[1].name" in error_of(twice)
    parse_recipe(twice + 'name = "again"', "r.toml")


def test_a_split_can_take_the_mixture_of_another():
    shared = GOOD + '[split.test]\ndatasets = 5\nn = 20\ndim = 4\nmixture = "train"\n'
    train, test = parse_recipe(shared, "r.toml").splits
    assert [c.name for c in train.mixture] == [c.name for c in test.mixture]
    assert list(test.mixture[0].dims.corners()) == [(4, 4)]
    assert "did you mean 'train'" in error_of(shared.replace('"train"', '"tran"'))


def test_a_file_that_is_not_there_or_not_text(tmp_path):
    with pytest.raises(RecipeError, match="cannot be read: No such file"):
        read_recipe(tmp_path / "none.toml")
    with pytest.raises(RecipeError, match="cannot be read: Is a directory"):
        read_recipe(tmp_path)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RecipeError, match="UTF-8"):
        read_recipe(tmp_path / "binary.toml")


def test_forms_of_numbers():
    def prior(text):
        return parse_recipe(GOOD.replace("n = 50", f"n = {text}"), "r.toml").splits[0].n

    assert prior("50") == Choice((50,))
    assert prior("[5, 9]") == prior("{ uniform = [5, 9] }") == Uniform(5, 9)
    assert prior("{ log_uniform = [5, 9] }") == LogUniform(5, 9)
    assert prior("{ values = [5, 9] }") == Choice((5, 9))
    assert prior("{ linspace = [10, 20, 3] }") == Choice((10.0, 15.0, 20.0))


def test_comments_and_order_do_not_change_the_plan():
    other = "# a comment\n" + GOOD.replace('name = "r"\nversion = 1', 'version = 1\nname = "r"')
    assert make_plan(parse_recipe(GOOD, "a")).hash == make_plan(parse_recipe(other, "b")).hash
    for old, new in [("seed = 3", "seed = 4"), ("5.0]", "4.0]"), ("n = 50", "n = 51")]:
        changed = parse_recipe(GOOD.replace(old, new), "c")
        assert make_plan(parse_recipe(GOOD, "a")).hash != make_plan(changed).hash


@pytest.mark.parametrize("path", sorted(PIPELINES.glob("*.toml")), ids=lambda path: path.stem)
def test_published_recipes_can_be_planned(path):
    recipe = read_recipe(path)
    assert recipe.name == path.stem
    assert len(make_plan(recipe)) > 0


def test_the_published_counts():
    train = make_plan(read_recipe(PIPELINES / "mist-train.toml"))
    assert len(train) == 625_000
    assert len(train.recipe.splits[0].mixture) == 16
    test = make_plan(read_recipe(PIPELINES / "mist-test.toml"))
    assert [(test.columns["split"] == s).sum() for s in (0, 1)] == [1080, 1260]
    quick = make_plan(read_recipe(PIPELINES / "quickstart.toml"))
    assert len(quick) == 5000
