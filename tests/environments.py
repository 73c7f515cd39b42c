"""New virtual environments in seconds: a wheel and what it requires, from those at hand.

What a requirement brings is read from the metadata of the wheel and of the distributions, as pip
reads it, and the files of these distributions are linked rather than fetched and unpacked anew.
That pip finds them all from nothing is seen where `make` builds the environment of the tests.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def new_environment(folder: Path, wheel: Path, extras: str = "") -> Path:
    """Make an environment with a wheel and these extras alone; return where its programs are."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin/python"]
    subprocess.run([*pip, "install", "-q", "--no-deps", "--no-index", wheel], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (info,) = site.glob("mistdata-*.dist-info")
    for each in _required(Distribution.at(info), {name for name in extras.split(",") if name}):
        _link(each, site)
    subprocess.run([*pip, "check"], check=True, stdout=subprocess.DEVNULL)
    return folder / "bin"


def _required(wheel: Distribution, extras: Iterable[str]) -> Iterator[Distribution]:
    """Yield the distributions that a wheel requires with these extras, each once."""
    left, seen = [(wheel, "")] + [(wheel, extra) for extra in extras], set()
    while left:
        one, extra = left.pop()
        for text in one.requires or ():
            requirement = Requirement(text)
            if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
                continue
            own = canonicalize_name(requirement.name) == canonicalize_name(wheel.name)
            found = wheel if own else distribution(requirement.name)
            for asked in ("", *requirement.extras):
                key = (canonicalize_name(found.name), asked)
                if key not in seen:
                    seen.add(key)
                    left.append((found, asked))
                    if not own and not asked:
                        yield found


def _link(one: Distribution, site: Path) -> None:
    """Give another environment the files of a distribution; its programs run by its Python."""
    for file in one.files or ():
        source, target = Path(str(one.locate_file(file))), site / file
        if not source.exists():  # compiled, of an interpreter that is not here
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if ".." in file.parts:
            target.write_bytes(_for(site.parents[2] / "bin/python", source.read_bytes()))
            shutil.copymode(source, target)
        elif not target.exists():
            try:
                os.link(source, target)
            except OSError:  # another disk
                shutil.copy2(source, target)


def _for(python: Path, program: bytes) -> bytes:
    """Return a program with another Python behind its `#!`, if that is what it begins with."""
    first, newline, rest = program.partition(b"\n")
    if first.startswith(b"#!") and b"python" in first:
        return b"#!" + os.fsencode(python) + newline + rest
    return program
