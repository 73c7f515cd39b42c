"""Thousands of broken recipes and forged documents: one clear line, never anything else."""

import random
import re
import shutil
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mistdata
from mistdata.errors import MistdataError
from mistdata.inspect import inspect
from mistdata.pipeline.plan import make_plan
from mistdata.pipeline.recipe import parse_recipe
from mistdata.pipeline.run import InProcess, generate
from mistdata.repair import repair
from mistdata.store import document
from mistdata.store.commit import sha256_of
from mistdata.store.seal import seal
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


@pytest.mark.parametrize("count", [40, pytest.param(150, marks=pytest.mark.slow)])
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
@pytest.mark.parametrize("count", [50, pytest.param(200, marks=pytest.mark.slow)])
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


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz") / "store"
    generate(brief_plan(), path, InProcess())
    return path


STRANGE_BODIES = {
    "not UTF-8": b'{"format": "\xff"',
    "not JSON": b"{format",
    "a list": b'[1, {"format": 1',
    "deep": b'{"format": ' + b"[" * 100_000,
    "no format": b'{"name": 1',
    "long number": b'{"format": ' + b"9" * 5_000,
}


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("body", STRANGE_BODIES.values(), ids=STRANGE_BODIES)
def test_bytes_that_are_no_document_are_one_line_though_their_checksum_is_right(
    store, tmp_path, name, body
):
    forged = shutil.copytree(store, tmp_path / "forged")
    sealed = body + document._MARK + document._checksum(body) + document._END
    (forged / name).write_bytes(sealed)
    assert refused(lambda: verify(forged)) or verify(forged).problems
    for reading in (inspect, mistdata.open, seal, partial(repair, executor=InProcess())):
        refused(lambda reading=reading: reading(forged))


def refused(reading):
    """Return whether a store is refused; any other exception than ours is one too many."""
    try:
        reading()
    except MistdataError as error:
        assert "\n" not in str(error)
        return True
    return False


FORGED = {
    "a gap in dim_x": ("dim_x", None),
    "no rows in a sample": ("n", 0),
    "more rows than there are": ("n", 2**31 - 1),
    "a negative place": ("offset", -4),
    "a place far away": ("offset", 2**63 - 1),
    "a gap in params": ("params", None),
    "another split": ("split", "elsewhere"),
}


@pytest.mark.parametrize(("column", "value"), FORGED.values(), ids=FORGED)
def test_a_forged_catalog_is_refused_when_the_store_is_opened(store, tmp_path, column, value):
    forged = forge_catalog(store, tmp_path / "forged", column, value)
    assert refused(lambda: mistdata.open(forged))
    assert refused(lambda: inspect(forged))
    assert refused(lambda: verify(forged)) or verify(forged).problems


@pytest.mark.parametrize(("column", "value"), [("flags", 5), ("oracle_se", -1.0)])
def test_what_follows_from_other_columns_is_verified(store, tmp_path, column, value):
    forged = forge_catalog(store, tmp_path / "forged", column, value)
    assert any(f"{column} does not follow" in each.message for each in verify(forged).problems)


def test_parameters_that_are_no_json_are_one_line(store, tmp_path):
    forged = forge_catalog(store, tmp_path / "forged", "params", "{")
    with pytest.raises(MistdataError, match=r"\Adataset 0: params is not JSON\Z"):
        mistdata.open(forged)[0]


FORGED_PLANS = {name: each for name, each in FORGED.items() if each[0] != "params"} | {
    "a shard far away": ("shard", 2**31 - 1),
    "a negative shard": ("shard", -1),
    "another dataset": ("dataset_id", 7),
    "no seed": ("seed_key", None),
    "no component": ("component", None),
}


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize(("column", "value"), FORGED_PLANS.values(), ids=FORGED_PLANS)
def test_a_forged_plan_with_right_hashes_is_refused(store, tmp_path, column, value, sealed):
    forged = forge(store, tmp_path / "forged", "plan.parquet", column, value)
    record = document.read(forged / "plan.json")
    record["planned_sha256"] = sha256_of(forged / "plan.parquet")
    (forged / "plan.json").write_bytes(document.encode(record, indent=2))
    if not sealed:
        (forged / "manifest.json").unlink()
    assert refused(lambda: verify(forged)) or verify(forged).problems
    for reading in (inspect, mistdata.open, seal, partial(repair, executor=InProcess())):
        refused(lambda reading=reading: reading(forged))


def forge_catalog(store, out, column, value):
    """Copy a store, change a value of its catalog and put the manifest's hash right."""
    return forge(store, out, "catalog.parquet", column, value)


def forge(store, out, name, column, value):
    """Copy a store, change a value of a table of it and put the manifest's hash right."""
    shutil.copytree(store, out)
    path = out / name
    table = pq.read_table(path)
    field = table.schema.field(column)
    values = [value, *table[column].to_pylist()[1:]]
    array = pa.array(values, field.type.value_type if pa.types.is_dictionary(field.type) else None)
    array = array.dictionary_encode() if pa.types.is_dictionary(field.type) else array
    position = table.schema.get_field_index(column)
    pq.write_table(table.set_column(position, field, array.cast(field.type)), path)
    manifest = document.read(out / "manifest.json")
    manifest["files"][name] = {
        "size": path.stat().st_size, "sha256": sha256_of(path),
    }  # fmt: skip
    (out / "manifest.json").write_bytes(document.encode(manifest, indent=2))
    return out
