"""Start time of the package and its command line, beside limits and a bare interpreter.

python -m benchmarks.cli [--repeats 21]
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import click
import numpy as np

from benchmarks._measure import median_ratio, report, seconds, take_turns, verdict

COMMANDS = {
    "python -c pass": ("-c", "pass"),
    "import mistdata": ("-c", "import mistdata"),
    "mistdata --help": ("-m", "mistdata", "--help"),
    "mistdata generate --help": ("-m", "mistdata", "generate", "--help"),
    "import torch": ("-c", "import torch"),
}
ANSWER = "mistdata estimate FILE"  # 300 rows of 2 + 1 columns
BARE = "python -c pass"
LIMITS = {"import mistdata": 0.2, "mistdata --help": 0.3, ANSWER: 3.0}  # s


def example(folder: Path) -> tuple[str, ...]:
    """Write a table and return the arguments that estimate from it."""
    rows = np.random.default_rng(0).normal(size=(300, 3)) @ [[1, 0, 1], [0, 1, 1], [0, 0, 1]]
    path = folder / "data.csv"
    np.savetxt(path, rows, delimiter=",", header="a,b,c", comments="")
    return ("-m", "mistdata", "estimate", str(path), "--x", "a,b", "--y", "c")


def start(arguments: tuple[str, ...]) -> float:
    """Return the seconds that an interpreter with these arguments lives."""
    command = [sys.executable, *arguments]
    return seconds(partial(subprocess.run, command, check=True, stdout=subprocess.DEVNULL))


@click.command()
@click.option("--repeats", default=21, show_default=True, type=click.IntRange(min=1))
@click.option("--json", "as_json", is_flag=True, help="Print JSON for machines.")
def main(repeats: int, as_json: bool) -> None:
    """Measure start times."""
    with TemporaryDirectory() as folder:
        commands = COMMANDS | {ANSWER: example(Path(folder))}
        for arguments in commands.values():
            start(arguments)
        took = take_turns({name: partial(start, each) for name, each in commands.items()}, repeats)
    figures = {
        name: {
            "median_s": median(each),
            "best_s": min(each),
            "times_bare": median_ratio(each, took[BARE]),
        }
        for name, each in took.items()
    }
    lines = [
        f"{name:<26}{each['median_s'] * 1e3:6.0f} ms (best {each['best_s'] * 1e3:.0f}),"
        f" {each['times_bare']:.1f} times a bare interpreter"
        for name, each in figures.items()
    ]
    lines += [
        f"{name}, s ({verdict(figures[name]['median_s'], limit, at_most=True)})"
        for name, limit in LIMITS.items()
    ]
    report(figures, lines, as_json)


if __name__ == "__main__":
    main()
