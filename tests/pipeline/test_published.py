"""The recipes of `pipelines/`: complete, apart from each other, and true to what they publish."""

import csv
from pathlib import Path

import pytest

from mistdata.audit import audit
from mistdata.distributions import FAMILIES
from mistdata.distributions.base import Precision
from mistdata.distributions.families import GROUPS
from mistdata.pipeline.generate import member_of
from mistdata.pipeline.plan import make_plan
from mistdata.pipeline.recipe import read_recipe
from mistdata.pipeline.run import InProcess, generate
from mistdata.pipeline.streams import Streams

FOLDER = Path(__file__).parents[2] / "pipelines"
TASKS = Path(__file__).parents[1] / "data" / "bmi_tasks.csv"
RECIPES = {path.stem: read_recipe(path) for path in sorted(FOLDER.glob("*.toml"))}
CARRIED = {name for name, recipe in RECIPES.items() if recipe.flow}  # need flows, fitted first
COUNTABLE = {
    name
    for name, family in FAMILIES.items()
    if all(each.integer for key, each in family.parameters.items())
    and "structure" not in family.parameters
}
# single precision does not hold the tails of additive-levy in a strict split
ONLY_IN_TRAINING = {"additive-levy"} | COUNTABLE
OF_THEIR_OWN = {"mixture-gaussian"}  # labels ten times as exact need one column a side
HELD_OUT_MAPS = {"cayley", "spiral", "swiss-roll", "arc"}


def components(recipe, split):
    return next(each for each in RECIPES[recipe].splits if each.name == split).mixture


def families_of(mixture):
    return {component.family.name for component in mixture}


def maps_of(mixture):
    return {
        step.name
        for component in mixture
        for step in (*component.transform_x, *component.transform_y)
    }


def test_the_flagship_holds_every_family_in_one_of_its_sets():
    train = families_of(components("mistdata-train", "train"))
    held_out = families_of(components("mistdata-test", "families"))
    assert not train & held_out
    assert train | held_out <= set(FAMILIES)
    assert len(train | held_out) == 89  # of version 1; a new family waits for the next
    assert all(held_out & set(names) for names in GROUPS.values())


def test_the_flagship_holds_every_map_in_one_of_its_sets():
    train = maps_of(components("mistdata-train", "train"))
    held_out = maps_of(components("mistdata-test", "maps")) - train
    assert held_out == HELD_OUT_MAPS
    assert families_of(components("mistdata-test", "maps")) <= families_of(
        components("mistdata-train", "train")
    )
    assert not HELD_OUT_MAPS & maps_of(components("mistdata-test", "families"))
    assert len(train | held_out) == 25  # of version 1


def test_long_samples_are_drawn_from_the_mixture_of_training():
    def mixture(recipe):
        return {each.name: each.canonical() for each in components(recipe, "train")}

    assert mixture("mistdata-long") == mixture("mistdata-train")
    plan = make_plan(RECIPES["mistdata-long"], 1000)
    assert plan.columns["n"].min() >= 1000
    assert (plan.sizes > 50_000).mean() > 0.3  # what the flagship's datasets never hold


def test_wide_samples_hold_out_what_training_does():
    wide, train = components("mistdata-wide", "train"), components("mistdata-train", "train")
    assert families_of(wide) < families_of(train) and maps_of(wide) < maps_of(train)
    plan = make_plan(RECIPES["mistdata-wide"], 1000)
    assert plan.columns["n"].min() >= 500
    assert min(plan.columns[f"dim_{side}"].min() for side in "xy") >= 12


def test_new_members_are_drawn_from_the_mixture_of_training():
    def shared(recipe, split):
        return {
            each.name: each.canonical()
            for each in components(recipe, split)
            if each.family.name not in ONLY_IN_TRAINING | OF_THEIR_OWN
        }

    new = components("mistdata-test", "imd")
    assert shared("mistdata-test", "imd") == shared("mistdata-train", "train")
    assert (
        families_of(new) == families_of(components("mistdata-train", "train")) - ONLY_IN_TRAINING
    )


def test_the_readme_counts_the_flagship_right():
    mixture = components("mistdata-train", "train")
    counted = f"{len(families_of(mixture))} families in {len(mixture)} components"
    assert counted in (FOLDER.parent / "README.md").read_text(encoding="utf-8")


def test_no_two_recipes_share_a_seed():
    seeds = [recipe.seed for recipe in RECIPES.values()]
    assert len(set(seeds)) == len(seeds)


def test_the_flagship_has_the_promised_size():
    plan = make_plan(RECIPES["mistdata-train"])
    assert len(plan) == 1_000_000
    assert 35e9 < 4 * plan.sizes.sum() < 42e9
    assert plan.columns["n"].min() >= 10 and plan.columns["n"].max() > 9_990
    assert plan.columns["dim_x"].max() == plan.columns["dim_y"].max() == 64
    assert (plan.columns["dim_x"] != plan.columns["dim_y"]).mean() > 0.8


@pytest.mark.parametrize("name", ["bmi-40", "bmm"])
def test_the_tasks_of_the_benchmark_have_their_published_information(name):
    with TASKS.open(newline="", encoding="utf-8") as file:
        tasks = {row["task"]: row for row in csv.DictReader(file) if row["recipe"] == name}
    plan = make_plan(RECIPES[name])
    streams = Streams(plan.recipe.seed)
    found = {}
    for planned in plan.datasets(0, len(plan)):
        if planned.component.name not in found:
            member = member_of(planned, streams)
            mi = member.mutual_information(Precision(n=10_000, strict=True))
            found[planned.component.name] = (planned.dim_x, planned.dim_y, mi.value)
    assert found.keys() == tasks.keys()
    assert len(tasks) == {"bmi-40": 40, "bmm": 26}[name]
    for task, row in tasks.items():
        dim_x, dim_y, mi = found[task]
        assert (dim_x, dim_y) == (int(row["dim_x"]), int(row["dim_y"]))
        # the published noise width 0.1 is a single-precision number
        assert abs(mi - float(row["mi"])) < 1e-7 + 4.0 * float(row["standard_error"])


@pytest.mark.parametrize("name", sorted(set(RECIPES) - CARRIED))
def test_the_first_datasets_of_every_recipe_bear_out_their_labels(name, tmp_path):
    generate(make_plan(RECIPES[name], limit=60), tmp_path / name, InProcess())
    result = audit(tmp_path / name)
    assert result.ok, result.problems


@pytest.mark.slow
def test_hundreds_of_datasets_of_every_flagship_split_bear_out_their_labels(tmp_path):
    for name in ("mistdata-train", "mistdata-test"):
        generate(make_plan(RECIPES[name], limit=400), tmp_path / name, InProcess())
        result = audit(tmp_path / name)
        assert result.ok, result.problems
        assert 0.8 < result.z_std < 1.1
