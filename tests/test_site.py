"""The documentation builds without a warning; links lead somewhere; nothing remote is loaded."""

import os
import runpy
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import pytest
from mkdocs.exceptions import PluginError

from mistdata.distributions.families import FAMILIES
from mistdata.distributions.transforms import TRANSFORMS

ROOT = Path(__file__).parents[1]
LOADED = {("script", "src"), ("img", "src"), ("link", "href"), ("iframe", "src")}


class Page(HTMLParser):
    """The links of a page, what it loads, and its anchors."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loaded, self.anchors = [], [], set()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        """Note what a tag names."""
        found = dict(attributes)
        self.anchors |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        self.loaded += [
            found[key]
            for name, key in LOADED
            if (tag, key) == (name, key) and found.get(key) and found.get("rel") != "canonical"
        ]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {path: Page(path) for path in folder.rglob("*.html") if path.name != "404.html"}


@pytest.fixture
def hooks(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    return SimpleNamespace(**runpy.run_path(str(ROOT / "docs" / "hooks.py")))


def test_every_link_leads_to_a_page_and_a_heading(site):
    checked = 0
    for path, page in site.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            assert target.exists(), (path, link)
            if parts.fragment and target in site:
                assert unquote(parts.fragment) in site[target].anchors, (path, link)
            checked += 1
    assert checked > 1000


def test_nothing_is_loaded_from_elsewhere(site):
    for path, page in site.items():
        assert not [each for each in page.loaded if urlsplit(each).netloc], path


def test_every_page_of_docs_is_in_the_site(site):
    names = {path.parent.name for path in site}
    assert {page.stem for page in (ROOT / "docs").glob("*.md")} - names == {"index"}
    assert {page.stem for page in (ROOT / "docs" / "tutorials").glob("*.md")} <= names


def test_every_formula_of_families_and_maps_is_set(site):
    (path,) = [each for each in site if each.parent.name == "families"]
    text = path.read_text()
    assert text.count("<math ") == len(FAMILIES) + len(TRANSFORMS)
    for formula in text.split("<math ")[1:]:
        assert not set("\\^_√½") & set(formula.split("</math>")[0])


def test_a_link_to_a_file_that_is_not_there_stops_the_build(hooks):
    with pytest.raises(PluginError, match=r"docs/a.md: the link to gone.md leads nowhere"):
        hooks._turned("[words](gone.md)", "docs/a.md")
    assert hooks._turned("[words](../Makefile)", "docs/a.md") == "words"
    assert hooks._turned("[words](../train/README.md#x)", "docs/a.md") == "[words](fitting.md#x)"
