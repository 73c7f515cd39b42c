"""Reference values: one row per member, computed elsewhere, by other means.

A row of `tests/data/references/<module>.csv` reads

    family,dim_x,dim_y,params,mi,tolerance,witness
    student-identity,2,2,nu=2,0.193147180560,2e-12,ln 2 - 1/2

`params` joins key=value by ";", the values of a tuple by "|". `witness` says how the value was
obtained without the code under test.
"""

import csv
from pathlib import Path

import pytest

from mistdata.distributions import FAMILIES

FOLDER = Path(__file__).parents[1] / "data" / "references"


def read_rows():
    for path in sorted(FOLDER.glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            yield from csv.DictReader(file)


def member_of(row):
    family = FAMILIES[row["family"]]
    theta = {}
    for pair in filter(None, row["params"].split(";")):
        key, _, value = pair.partition("=")
        theta[key] = value_of(family.parameters[key], value)
    return family(int(row["dim_x"]), int(row["dim_y"]), **theta)


def value_of(parameter, text):
    if parameter.names:
        return text
    kind = int if parameter.integer else float
    return tuple(map(kind, text.split("|"))) if parameter.per else kind(text)


ROWS = list(read_rows())
every_row = pytest.mark.parametrize(
    "row", ROWS, ids=[f"{r['family']}-{r['dim_x']}x{r['dim_y']}-{r['params']}" for r in ROWS]
)
