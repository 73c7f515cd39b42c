"""What a newcomer sees: a fresh clone, `make demo`, then the README down to its fold.

With `MISTDATA_TRANSCRIPT=docs/transcript.md` what the terminal shows becomes that page; fits then
take as long as the README says, and a fraction of that otherwise.
"""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLD = "## Results"
HEAD = """# The first ten minutes

What the README shows down to its results, on a fresh clone with two cores, recorded by
`MISTDATA_TRANSCRIPT=docs/transcript.md pytest -m slow tests/test_newcomer.py`. In a terminal there
are progress bars, too.
"""

pytestmark = pytest.mark.slow


def shown(command):
    """A command, after itself as a terminal shows it."""
    return f"printf '\\n$ %s\\n' {shlex.quote(command)}\n{command}\n"


def session(page, minutes):
    """Turn the README down to its fold into a shell script that shows what it does."""
    script = ["set -euo pipefail", shown("make demo")]
    for language, block in re.findall(r"```(sh|python)\n(.*?)```", page.partition(FOLD)[0], re.S):
        if language == "sh":
            script += [shown(line) for line in block.splitlines()]
        else:
            typed = "".join(f">>> {line}\n" for line in block.splitlines())
            script.append(f"printf '\\n%s' {shlex.quote(typed)}\npython - <<'END'\n{block}END\n")
    return "\n".join(script).replace("--minutes 2", f"--minutes {minutes}")


def test_the_readme_down_to_its_fold_from_a_fresh_clone(tmp_path):
    transcript = os.environ.get("MISTDATA_TRANSCRIPT")
    minutes = "2" if transcript else "0.1"
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
    fresh = {
        key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "PYTHONPATH")
    }
    done = subprocess.run(
        ["bash", "-c", session((clone / "README.md").read_text(), minutes)],
        cwd=clone, env=fresh | {"MINUTES": minutes}, text=True, timeout=1500, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    seen = done.stdout
    if transcript:
        Path(transcript).write_text(f"{HEAD}\n```text\n{seen.strip()}\n```\n")
    assert done.returncode == 0, seen[-3000:]
    assert "Traceback" not in seen and "Warning" not in seen
    for name in ("demo/quantiles.png", "STORE/manifest.json", "FIT/report.json", "matrix.png"):
        assert (clone / name).stat().st_size > 0
    (median,) = re.findall(r"([\d.]+) nats, 90 % interval", seen)[-1:]
    assert 0.2 < float(median) < 0.7  # the truth is 0.43
    assert subprocess.check_output(["git", "status", "--short"], cwd=clone) == b""
