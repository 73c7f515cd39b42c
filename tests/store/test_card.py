"""A sealed store describes itself, in formats that other tools check and read."""

import hashlib
import json
import logging
import pickle
import re
from pathlib import Path

import mlcroissant
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

import mistdata
from mistdata.derive import merge, select
from mistdata.errors import VerificationFailed
from mistdata.importing import import_pickles
from mistdata.store import card, catalog, ledger
from mistdata.store.seal import seal
from mistdata.verify import verify

# The README.md of the small store, without what varies with machine and version.
GENERATED = "6d5f97b04328a6cbaadc93c31ecbd1f78c54b80f6f02aa769f2c4f47a0896ae7"
WHERE = "n >= 200 and family <> 'gaussian-lvm'"


@pytest.fixture(scope="module")
def front_matter(small_store):
    _, front, text = (small_store / card.README).read_text().split("---\n", 2)
    return yaml.safe_load(front), text


def test_every_column_of_the_catalog_is_described():
    assert list(card.COLUMNS) == catalog.CATALOG.names


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # inside rdflib
def test_croissant_is_valid_and_reads_the_catalog(small_store, monkeypatch, caplog):
    monkeypatch.chdir(small_store)
    with caplog.at_level(logging.WARNING):
        dataset = mlcroissant.Dataset(card.CROISSANT)
    assert not dataset.metadata.ctx.issues.errors
    assert not [r for r in caplog.records if "@context" in r.getMessage()]
    records = list(dataset.records("datasets"))
    table = pq.read_table(ledger.CATALOG)
    assert len(records) == len(table)
    assert [each["datasets/mi"] for each in records[:20]] == table["mi"].to_pylist()[:20]


def test_croissant_names_the_shards_of_every_split(small_store):
    document = json.loads((small_store / card.CROISSANT).read_text())
    globs = [each["includes"] for each in document["distribution"] if "includes" in each]
    found = {path.relative_to(small_store) for glob in globs for path in small_store.glob(glob)}
    listed = {name for name in ledger.read_manifest(small_store).files if "/c/" in name}
    assert {path.as_posix() for path in found} == listed


def test_the_card_says_what_is_in_the_store(small_store, front_matter):
    front, text = front_matter
    dataset = mistdata.open(small_store)
    assert front["license"] == "cc-by-4.0"
    assert front["size_categories"] == ["n<1K"]
    assert dataset.digest in text
    for name in ("train", "validation"):
        count = (dataset.column("split") == name).sum()
        assert f"| {name} | {count} |" in text
    for family in set(dataset.column("family")):
        assert f"| {family} | {(dataset.column('family') == family).sum()} |" in text


def test_the_card_of_a_generated_store_never_changes(small_store):
    """Else `repair` could not write it again: the manifest names its sha256."""
    text = (small_store / card.README).read_text()
    record = ledger.read_record(small_store)
    for varying in (record.plan, mistdata.open(small_store).digest, record.mistdata):
        text = text.replace(varying, "")
    assert hashlib.sha256(text.encode()).hexdigest() == GENERATED


@pytest.fixture(scope="module")
def derived(small_store, tmp_path_factory):
    """Stores that were not generated, and one selected from an import."""
    folder = tmp_path_factory.mktemp("derived")
    values = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    held = [{"distribution": "normal-base", "target": mi, "source": values} for mi in (0.5, 1.0)]
    (folder / "meta.pkl").write_bytes(pickle.dumps(held))
    select(small_store, folder / "select", WHERE, name="long", version=3)
    merge([folder / "select", small_store], folder / "merge", name="both")
    import_pickles([("train", folder / "meta.pkl")], folder / "import", name="mist")
    merge([folder / "import", folder / "select"], folder / "mixed", name="mixed")
    select(folder / "mixed", folder / "some", "mi_method = 'imported'", name="some")
    return folder


@pytest.mark.parametrize(
    ("kind", "lead", "sources"),
    [
        ("select", "Selected from small, version 1.", ["small"]),
        ("merge", "Merged from long, version 3 and small, version 1.", ["select", "small"]),
        ("import", "Imported from meta.pkl.", []),
        ("mixed", "Merged from mist, version 1 and long, version 3.", ["import", "select"]),
        ("some", "Selected from mixed, version 1.", ["mixed"]),
    ],
)
def test_the_card_of_a_store_of_others_is_true(derived, small_store, kind, lead, sources):
    text = (derived / kind / card.README).read_text()
    assert lead in text and lead in (derived / kind / card.CROISSANT).read_text()
    for name in sources:
        source = mistdata.open(small_store if name == "small" else derived / name)
        manifest = source.manifest
        assert f"- {manifest.name}, version {manifest.version}, content digest" in text
        assert source.digest in text
    assert "the recipe in `plan.json`" not in text, "there is none"
    assert "| line of the recipe: family and maps |" not in text
    imported = kind in ("import", "mixed", "some")
    assert ("license: cc-by-4.0" in text) == ("CC-BY-4.0" in text) == (not imported)
    assert ("are those of the files" in text) == ("cite those" in text) == imported
    assert ("generated stores that this one comes from" in text) == (not imported)
    assert verify(derived / kind).ok


def test_the_card_of_a_selection_quotes_its_condition(derived):
    assert f"\n    {WHERE}\n" in (derived / "select" / card.README).read_text()


def test_the_card_of_an_import_names_its_files(derived):
    text = (derived / "import" / card.README).read_text()
    sha256 = hashlib.sha256((derived / "meta.pkl").read_bytes()).hexdigest()
    assert f"- `meta.pkl`, as the split train, sha256 `{sha256}`\n" in text
    assert "mistdata verify STORE --deep" not in text
    assert "\n| seed_key | -1, split, number:" in text


@pytest.mark.parametrize("kind", ["small", "select", "merge", "import", "mixed", "some"])
def test_the_block_of_a_card_runs(derived, small_store, kind, tmp_path, monkeypatch):
    store = small_store if kind == "small" else derived / kind
    monkeypatch.chdir(tmp_path)
    Path("STORE").symlink_to(store)
    (block,) = re.findall(r"```python\n(.*?)```", (store / card.README).read_text(), re.DOTALL)
    found: dict[str, object] = {}
    exec(block, found)
    assert found["one"].x.shape == (found["one"].n, found["one"].dim_x)


def test_the_citation_file_is_yaml_of_its_format(small_store):
    cited = yaml.safe_load((small_store / card.CITATION).read_text())
    assert cited["cff-version"] == "1.2.0"
    assert cited["type"] == "dataset"
    assert cited["identifiers"][0]["value"].endswith(mistdata.open(small_store).digest)


def test_a_store_sealed_before_there_were_cards_stays_sealed(store):
    manifest = ledger.read_manifest(store)
    for name in card.NAMES:
        (store / name).unlink()
        del manifest.files[name]
    (store / ledger.MANIFEST).write_bytes(ledger.encode_manifest(manifest))
    assert seal(store) == manifest
    assert verify(store).ok


def test_a_card_that_is_gone_is_no_longer_the_store_of_the_manifest(store):
    (store / card.README).unlink()
    with pytest.raises(VerificationFailed, match="describes other content"):
        seal(store)


@pytest.mark.parametrize(
    ("count", "category"),
    [(999, "n<1K"), (5_000, "1K<n<10K"), (625_000, "100K<n<1M"), (10**8, "n>10M")],
)
def test_size_categories_are_those_of_the_hub(count, category):
    assert card._size_category(count) == category
