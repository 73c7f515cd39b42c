"""A sealed store describes itself, in formats that other tools check and read."""

import json
import logging

import mlcroissant
import pyarrow.parquet as pq
import pytest
import yaml

import mistdata
from mistdata.errors import VerificationFailed
from mistdata.store import card, catalog, ledger
from mistdata.store.seal import seal
from mistdata.verify import verify


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
