"""The notebooks run from a folder of their own, are kept without outputs, and are in the docs."""

import os
import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGE = ROOT / "docs" / "notebooks.md"
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    return book


@every_notebook
def test_a_notebook_is_valid_short_and_without_outputs(path):
    book = read(path)
    assert len(book.cells) <= 15
    assert book.cells[0].source.startswith("# ")
    for cell in book.cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None


@every_notebook
def test_links_of_a_notebook_lead_to_files(path):
    text = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    for link in re.findall(r"\]\(([^)#]+)", text):
        assert (path.parent / link).exists(), link


def test_the_page_lists_every_notebook():
    listed = re.findall(r"\]\(\.\./notebooks/([^)]+)\)", PAGE.read_text())
    assert sorted(listed) == [path.name for path in NOTEBOOKS]
    assert len(listed) == 4


@every_notebook
def test_notebook_and_page_name_what_it_needs(path):
    """The extras, and what no extra brings, in its first cell and behind its name on the page."""
    book = read(path)
    code = "\n".join(cell.source for cell in book.cells if cell.cell_type == "code")
    (entry,) = [each for each in PAGE.read_text().split("\n- ") if f"[{path.name}]" in each]
    for said in (book.cells[0].source, entry):
        extras = re.search(r"`mistdata\[([a-z,]+)\]`", said)[1].split(",")
        assert ("report" in extras) == ("matplotlib" in code)
        assert ("flows" in extras) == ("flow-fit" in code)
        assert ("estimator" in extras) == bool(re.search(r"mistdata\.(estimate|matrix)", code))
        assert ("scikit-learn" in said.replace("of scikit-learn", "")) == ("sklearn" in code)
        assert ("pandas" in said) == ("pandas" in code)


@pytest.mark.slow
@every_notebook
def test_a_notebook_runs_as_it_stands(path, tmp_path, monkeypatch):
    (tmp_path / "pipelines").symlink_to(ROOT / "pipelines")  # what is in a clone
    (tmp_path / "notebooks").mkdir()
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))  # none of the reader's settings
    book = read(path)
    where = {"metadata": {"path": str(tmp_path / "notebooks")}}
    NotebookClient(book, kernel_name="python3", timeout=None, resources=where).execute()
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    errors = [each.text for each in outputs if each.get("name") == "stderr"]
    assert not [text for text in errors if "Warning" in text or "mistdata:" in text]
    assert not list((tmp_path / "notebooks").iterdir())  # it works in a folder of its own
