"""What the README shows runs: its Python blocks, in order, in one folder."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), flags=re.DOTALL)


def test_python_blocks_of_the_readme_run(small_store, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("STORE").symlink_to(small_store)
    namespace: dict[str, object] = {}
    for block in blocks("README.md", "python"):
        exec(compile(block, "README.md", "exec"), namespace)
    printed = capsys.readouterr().out
    assert "nats, 90 % interval" in printed
    assert 0.5 < namespace["answer"].median < 0.9  # the truth is ln 2 = 0.69


@pytest.mark.parametrize("page", ["README.md", "train/README.md", *sorted(
    str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))])  # fmt: skip
def test_links_of_the_pages_lead_to_files(page):
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text):
        if "://" not in link:
            assert ((ROOT / page).parent / link).exists(), link
