"""The tutorials run as they stand: their blocks, in order, in a folder where there is nothing.

Each has an environment of its own, with the extras that it says it needs.
"""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))

# Earlier blocks of the page run again, for what they define; what they print is not wanted twice.
AGAIN = """
import contextlib, io
with contextlib.redirect_stdout(io.StringIO()):
    exec({earlier!r}, globals())
"""

pytestmark = pytest.mark.slow


def script(page):
    """Turn a page into a shell script; its Python blocks are one session, as the reader's is."""
    lines, python = ["set -euo pipefail"], []
    for language, block in re.findall(r"```(sh|python)\n(.*?)```", page.read_text(), re.DOTALL):
        if language == "sh":
            lines.append(block)
        else:
            name = f"block{len(python)}.py"
            code = AGAIN.format(earlier="".join(python)) + block
            python.append(block)
            Path(name).write_text(code)
            lines.append(f"python {name}")
    return "\n".join(lines)


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda page: page.stem)
def test_a_tutorial_runs_as_it_stands(page, installed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (extras,) = re.findall(r"It needs `mistdata\[([\w,]+)\]`", page.read_text())
    for name in ("pipelines", "train"):  # what is in a clone
        Path(name).symlink_to(ROOT / name)
    Path("WORK").mkdir()
    done = subprocess.run(
        ["bash", "-c", script(page)],
        env=os.environ | {"PATH": f"{installed(extras)}:{os.environ['PATH']}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "Traceback" not in done.stderr
