"""Published stores: found by name and version, held against their entry, never edited."""

import hashlib
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import mistdata
from mistdata.cli import cli
from mistdata.derive import select
from mistdata.errors import MistdataError, NotAStore, VerificationFailed
from mistdata.importing import import_pickles
from mistdata.pipeline.plan import make_plan
from mistdata.pipeline.recipe import read_recipe
from mistdata.pipeline.run import InProcess, generate
from mistdata.store import ledger, published
from tests.in_process import mistdata as command
from tests.servers import web

FOLDER = Path(__file__).parents[1] / "catalogs"
# An entry is never edited: a change is a new version, with a line of its own here.
PUBLISHED = {
    "small-1.json": "b5cccdf238dddfd481de75916de85fca363c27a20ea37811beed76b861ab6e29",
}


@pytest.fixture
def catalogs(tmp_path, monkeypatch):
    """A catalog of one's own, and a cache; no stores at hand."""
    for name, variable in (("catalogs", published.CATALOGS), ("cache", "MISTDATA_CACHE")):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / name))
    monkeypatch.delenv(published.STORES, raising=False)
    return tmp_path / "catalogs"


@pytest.fixture
def other_plan(tmp_path, small_recipe):
    """A folder of stores with another one in the place of small@1."""
    text = small_recipe.read_text().replace("seed = 7", "seed = 9")
    (tmp_path / "forged.toml").write_text(text)
    plan = make_plan(read_recipe(tmp_path / "forged.toml"))
    generate(plan, tmp_path / "at-hand" / "small-1", InProcess())
    return tmp_path / "at-hand"


def test_a_published_version_is_never_edited():
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in FOLDER.glob("*.json")
    }
    assert found == PUBLISHED


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """An empty folder, and a shell in it that knows the command `mistdata` and no stores."""
    program = tmp_path / "bin" / "mistdata"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m mistdata "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(FOLDER.parent))
    monkeypatch.delenv(published.STORES, raising=False)
    (tmp_path / "fresh").mkdir()
    monkeypatch.chdir(tmp_path / "fresh")
    return lambda line: (
        subprocess.run(["bash", "-c", line], check=True, capture_output=True, text=True).stdout
    )


TITLES = [name.replace("-", "@")[:-5] for name in PUBLISHED]


@pytest.mark.parametrize("title", TITLES)
def test_what_the_error_says_makes_the_bytes_of_an_entry(fresh, title):
    with pytest.raises(NotAStore, match=r"has no address; make it from its recipe") as error:
        mistdata.open(title)
    (line,) = re.findall(r"`(.*)`$", str(error.value))
    assert line.endswith('export MISTDATA_STORES="$PWD/STORES"')
    code = f"import mistdata; print(mistdata.open('{title}').digest)"
    said = fresh(f'{line} && cd / && mistdata inspect {title} && {sys.executable} -c "{code}"')
    assert "sealed" in said
    assert said.splitlines()[-1] == published.find(title).digest


@pytest.mark.parametrize("title", TITLES)
def test_the_catalog_says_how_to_make_what_has_no_address(fresh, title, monkeypatch):
    listed, shown = command("catalogs").stdout, command("catalogs", title).stdout
    assert f"{title} has no address: make it from its recipe and set MISTDATA_STORES" in listed
    line = published.to_make(published.find(title))
    assert line in shown
    page = (FOLDER.parent / "docs" / "publishing.md").read_text()
    assert line.replace(" && ", "\n") in page
    monkeypatch.setenv(published.STORES, "my stores")
    assert "'my stores/" in published.to_make(published.find(title))


def test_what_has_no_recipe_is_published_with_an_address_and_a_licence(
    catalogs, small_store, tmp_path
):
    select(small_store, tmp_path / "long", "n > 99", name="long")
    with pytest.raises(MistdataError, match="say with --url"):
        published.publish(tmp_path / "long", catalogs / "long-1.json", url=None)
    url = "https://host/long"
    entry = published.publish(tmp_path / "long", catalogs / "long-1.json", url=url)
    assert entry.licence == "CC-BY-4.0"
    held = [{"distribution": "normal-base", "target": 0.5, "source": np.eye(9, 2)}]
    (tmp_path / "meta.pkl").write_bytes(pickle.dumps(held))
    import_pickles([("train", tmp_path / "meta.pkl")], tmp_path / "mist", name="mist")
    with pytest.raises(MistdataError, match="name its licence with --licence"):
        published.publish(tmp_path / "mist", catalogs / "mist-1.json", url=url)
    published.publish(tmp_path / "mist", catalogs / "mist-1.json", url=url, licence="MIT")


def test_a_store_is_published_found_and_read_through_the_cache(
    catalogs, store, small_store, tmp_path
):
    with web(store.parent) as site:
        url = f"{site.url}/{store.name}"
        path = catalogs / "small-1.json"
        entry = published.publish(store, path, url=url)
        assert entry.digest == ledger.read_manifest(store).digest
        assert next(iter(published.entries())) == entry, "one's own goes before the package's"
        for _ in range(2):
            dataset = mistdata.open("small@1")
            everything = range(len(dataset))
            np.testing.assert_array_equal(
                dataset.read(everything).values, mistdata.open(small_store).read(everything).values
            )
        assert len([each for each in site.asked if "/values/c/" in each[1]]) == 3
        site.asked.clear()
        mistdata.open("small@1")
        read = [each for each in site.asked if "manifest.json" in each[1] and each[0] == "GET"]
        assert len(read) == 1, site.asked
        with pytest.raises(MistdataError, match="exists, and a published version is never edited"):
            published.publish(store, path, url=None)
        assert json.loads(path.read_text())["url"] == url


def test_a_store_that_is_not_the_published_one_is_refused(catalogs, store, small_recipe, tmp_path):
    published.publish(store, catalogs / "small-1.json", url=None)
    text = small_recipe.read_text().replace("seed = 7", "seed = 8")
    other = tmp_path / "other.toml"
    other.write_text(text)
    forged = tmp_path / "stores" / "small-1"
    generate(make_plan(read_recipe(other)), forged, InProcess())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(published.STORES, str(tmp_path / "stores"))
        with pytest.raises(VerificationFailed, match="that of small@1 is"):
            mistdata.open("small@1")
        shutil.rmtree(forged)
        shutil.copytree(store, forged)
        assert len(mistdata.open("small@1"))
        manifest = ledger.read_manifest(forged)
        manifest.files["train/values/c/0"]["sha256"] = "0" * 64
        (forged / ledger.MANIFEST).write_bytes(ledger.encode_manifest(manifest))
        with pytest.raises(VerificationFailed, match="that of small@1 is"):
            mistdata.open("small@1")


def test_what_cannot_be_published_is_refused(catalogs, small_recipe, store, tmp_path):
    with pytest.raises(MistdataError, match=r"the entry of small@1 is called small-1\.json"):
        published.publish(store, catalogs / "mine.json", url=None)
    part = tmp_path / "part"
    generate(make_plan(read_recipe(small_recipe), 3), part, InProcess())
    with pytest.raises(MistdataError, match="made with --limit 3, so not all that small@1 says"):
        published.publish(part, catalogs / "small-1.json", url=None)
    (store / ledger.MANIFEST).unlink()
    with pytest.raises(NotAStore):
        published.publish(store, catalogs / "small-1.json", url=None)
    assert list(catalogs.iterdir()) == []


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "name": 3}', "\xff"]
)
def test_a_broken_entry_is_named(catalogs, content):
    (catalogs / "broken-1.json").write_text(content, encoding="latin1")
    with pytest.raises(MistdataError, match=r"broken-1\.json: not an entry of a catalog"):
        list(published.entries())


def test_an_entry_of_wrong_types_is_named(catalogs):
    content = json.loads((FOLDER / "small-1.json").read_text()) | {"version": "1"}
    (catalogs / "small-1.json").write_text(json.dumps(content))
    with pytest.raises(MistdataError, match="version must be int"):
        published.find("small@1")


def test_no_command_takes_another_store_for_the_published_one(
    catalogs, store, tmp_path, other_plan
):
    published.publish(store, catalogs / "small-1.json", url=None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(published.STORES, str(other_plan))
        for name in ("verify", "inspect"):
            refused = CliRunner().invoke(cli, [name, "small@1"])
            assert isinstance(refused.exception, VerificationFailed)


def test_catalogs_that_are_none_and_addresses_that_are_none(catalogs, store, monkeypatch):
    with pytest.raises(MistdataError, match="ftp://x: not an address"):
        published.publish(store, catalogs / "small-1.json", url="ftp://x")
    (catalogs / "bar-1.json").write_text((FOLDER / "small-1.json").read_text())
    with pytest.raises(MistdataError, match=r"that of small@1 is called small-1\.json"):
        list(published.entries())
    monkeypatch.setenv(published.CATALOGS, str(catalogs / "none"))
    with pytest.raises(MistdataError, match="must name a folder"):
        list(published.entries())


def test_the_command_line_publishes_and_lists(catalogs, store):
    written = CliRunner().invoke(
        cli, ["publish", str(store), str(catalogs / "small-1.json"), "--url", "https://host/small"]
    )
    assert written.exit_code == 0, written.output
    listed = CliRunner().invoke(cli, ["catalogs"]).output
    assert "small@1" in listed and "https://host/small" in listed
    shown = json.loads(CliRunner().invoke(cli, ["catalogs", "small@1", "--json"]).output)
    assert shown["datasets"] == {"train": 200, "validation": 60}
    assert CliRunner().invoke(cli, ["catalogs", "--recipe"]).exit_code == 2
    unknown = CliRunner().invoke(cli, ["catalogs", "smal@1"])
    assert "did you mean 'small@1'" in str(unknown.exception)
