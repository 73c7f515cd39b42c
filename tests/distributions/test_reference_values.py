"""Closed forms against values that were computed elsewhere, by other means."""

import csv
import re
from pathlib import Path

import pytest

from mistdata.distributions import FAMILIES
from mistdata.distributions.families.student import student_correction

FILE = Path(__file__).parents[1] / "data" / "mi_reference_values.csv"
with FILE.open(newline="") as file:
    ROWS = list(csv.DictReader(file))


def numbers(row):
    """Read the `params` column: `K=2;lambda=1.5` becomes {"K": 2.0, "lambda": 1.5}."""
    found = re.findall(r"(\w+)=([-+.\deE]+)(?=;|$)", row["params"].split(" ==")[0])
    return {key: float(value) for key, value in found}


def student(dims, p):
    """The file writes a scalar or an equicorrelated structure as `rho` or `dense`."""
    rho = p.get("rho", p.get("dense"))
    yield "student-dense", dims, {"rho": rho, "nu": p["nu"]}
    if rho == 0.0:
        yield "student-identity", dims, {"nu": p["nu"]}
        # without signal every structure is the identity
        yield "student-sparse", dims, {"strength": 0.0, "pairs": 1, "nu": p["nu"]}
        if min(dims) >= 2:
            yield "student-2pair", dims, {"strength": 0.0, "nu": p["nu"]}


def sparse(dims, p):
    pairs = int(p["K"])
    yield "gaussian-sparse", dims, {"strength": p["strength"], "pairs": pairs}
    if pairs == 2:
        yield "gaussian-2pair", dims, {"strength": p["strength"]}


def latent(dims, p):
    theta = {key: p[key] for key in ("alpha", "beta", "eta")}
    yield "gaussian-lvm", dims, {**theta, "strength": p["lambda"], "pairs": int(p["K"])}


MEMBERS_OF_ROW = {
    "bivariate_normal": lambda dims, p: [("gaussian-dense", dims, {"rho": p["rho"]})],
    "mvn_dense": lambda dims, p: [("gaussian-dense", dims, {"rho": p["off_diag"]})],
    "mvn_sparse(K pairs)": sparse,
    "mvn_lvm": latent,
    "student_t": student,
    "additive_uniform": lambda dims, p: [
        ("additive-uniform", dims, {"epsilon": (p["epsilon"],) * dims[0]})
    ],
}

CASES = [
    pytest.param(row, family, dims, theta, id=f"{family}-{row['params']}-{dims[0]}x{dims[1]}")
    for row in ROWS
    if row["family"] in MEMBERS_OF_ROW
    for family, dims, theta in MEMBERS_OF_ROW[row["family"]](
        (int(row["dim_x"]), int(row["dim_y"])), numbers(row)
    )
]


def tolerance(value):
    """12 digits, and half a unit in the last of the 12 decimals that the file prints."""
    return 1e-12 * max(1.0, abs(value)) + 0.5e-12


@pytest.mark.parametrize(("row", "family", "dims", "theta"), CASES)
def test_the_closed_form_has_the_reference_value(row, family, dims, theta):
    expected = float(row["mi_nats"])
    mi = FAMILIES[family](*dims, **theta).mutual_information()
    assert abs(mi.value - expected) <= tolerance(expected)


@pytest.mark.parametrize("row", [r for r in ROWS if r["family"] == "student_t_correction"])
def test_the_student_correction_has_the_reference_value_for_many_degrees_of_freedom(row):
    dims, nu = (int(row["dim_x"]), int(row["dim_y"])), numbers(row)["nu"]
    expected = float(row["mi_nats"])
    assert abs(student_correction(*dims, nu) - expected) <= tolerance(expected)
    member = FAMILIES["student-identity"](*dims, nu=nu)
    assert abs(member.mutual_information().value - expected) <= tolerance(expected)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_family_has_a_reference_row(family):
    assert any(case.values[1] == family for case in CASES), f"no reference value for {family}"


def test_the_file_has_the_rows_that_this_test_knows():
    found = {row["family"] for row in ROWS}
    assert {*MEMBERS_OF_ROW, "student_t_correction"} <= found
    assert len(CASES) >= 25
