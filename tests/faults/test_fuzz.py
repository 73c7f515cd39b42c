"""Thousands of broken recipes and forged documents: one clear line, never anything else."""

import random
import re
from pathlib import Path

import pytest

import mistdata
from mistdata.errors import MistdataError
from mistdata.inspect import inspect
from mistdata.pipeline.plan import make_plan
from mistdata.pipeline.recipe import parse_recipe
from mistdata.pipeline.run import InProcess, generate
from mistdata.store import document
from mistdata.verify import verify
from tests.brief import brief_plan

PIPELINES = sorted((Path(__file__).parents[2] / "pipelines").glob("*.toml"))
TOKEN = re.compile(r'"[^"\n]*"|[A-Za-z_][\w.-]*|-?\d[\d_.e+-]*|\S')
STRANGE = (
    "0", "-1", "1e400", "nan", "inf", "true", '""', '"\\u0000"', "[]", "{}", "[[]]", "2**9",
    "9" * 40, "1979-05-27", '"../../x"', "'''", "=", "[", "]", "[split]", "null",
    "[[split.train.mixture]]",
)  # fmt: skip


def broken(text, rng):
    """Replace, drop, double or move a few tokens of a text."""
    tokens = list(TOKEN.finditer(text))
    for match in sorted(rng.sample(tokens, rng.randint(1, 3)), key=lambda m: -m.start()):
        other = rng.choice(tokens)[0]
        new = rng.choice((rng.choice(STRANGE), other, "", match[0] * 2, match[0][:-1]))
        text = text[: match.start()] + new + text[match.end() :]
    return text


def outcome(text):
    """What becomes of a recipe: 'planned', 'refused', or an exception that nobody foresaw."""
    try:
        recipe = parse_recipe(text, "recipe.toml")
        if recipe.flow is None:
            make_plan(recipe, 2)
    except MistdataError as error:
        line = str(error)
        assert "\n" not in line and line.startswith("recipe.toml"), line
        return "refused"
    return "planned"


@pytest.mark.parametrize("count", [40, pytest.param(400, marks=pytest.mark.slow)])
@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.stem)
def test_a_broken_recipe_is_one_line(path, count):
    rng = random.Random(path.stem)
    text = path.read_text()
    found = {"planned": 0, "refused": 0}
    for _ in range(count):
        found[outcome(broken(text, rng))] += 1
    assert found["refused"] > found["planned"] > 0


def test_characters_at_random_are_one_line():
    rng = random.Random(1)
    for _ in range(300):
        pick = (rng.randrange(32, 127), rng.randrange(0x250))
        text = "".join(chr(rng.choice(pick)) for _ in range(40))
        with pytest.raises(MistdataError, match=r"\Arecipe.toml[^\n]*\Z"):
            parse_recipe(text, "recipe.toml")


def other_value(value, rng):
    """Another JSON value in the place of one: of another type, out of range, or hostile."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        key = rng.choice(list(value))
        if rng.random() < 0.7:
            return value | {key: other_value(value[key], rng)}
        return {each: value[each] for each in value if each != key} | {rng.choice(PATHS): 1}
    if isinstance(value, list) and value and rng.random() < 0.5:
        return value[1:] if rng.random() < 0.5 else [other_value(value[0], rng), *value[1:]]
    return rng.choice((None, True, -1, 0, 2**70, 1e308, "", "x" * 5000, [], {}, *PATHS))


PATHS = ("../../outside", "/etc/hostname", "train/values/c/0", "..", "\u0000")
DOCUMENTS = ("plan.json", "manifest.json", "_receipts/train/0.json")


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("count", [50, pytest.param(700, marks=pytest.mark.slow)])
def test_a_forged_document_with_a_right_checksum_is_one_line(tmp_path, name, count):
    """Whoever forges a store can compute checksums too."""
    plan = brief_plan()
    store = tmp_path / "store"
    generate(plan, store, InProcess())
    original = document.read(store / name)
    rng = random.Random(name)
    refused = 0
    for _ in range(count):
        key = rng.choice(list(original))
        forged = original | {key: other_value(original[key], rng)}
        (store / name).write_bytes(document.encode(forged))
        for reading in (
            lambda: mistdata.open(store),
            lambda: verify(store),
            lambda: inspect(store),
        ):
            try:
                reading()
            except MistdataError as error:
                assert "\n" not in str(error)
                refused += 1
    assert refused or name.startswith("_receipts")


@pytest.mark.parametrize("count", [2**70, 10**7, -1, 3])
def test_a_manifest_cannot_count_more_shards_than_it_names(tmp_path, count):
    """A reader that believed it would run out of memory."""
    store = tmp_path / "store"
    generate(brief_plan(), store, InProcess())
    found = document.read(store / "manifest.json")
    forged = found | {"shards": found["shards"] | {"train": count}}
    (store / "manifest.json").write_bytes(document.encode(forged))
    with pytest.raises(MistdataError, match="shard"):
        mistdata.open(store)
