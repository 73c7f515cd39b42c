"""The mutual information of every family against values computed elsewhere, by other means."""

import pytest

from mistdata.distributions import FAMILIES
from mistdata.distributions.base import Precision
from tests.distributions.references import ROWS, every_row, member_of


@every_row
def test_the_information_has_the_reference_value(row):
    mi = member_of(row).mutual_information(Precision(n=1000, strict=True))
    allowed = float(row["tolerance"])
    if mi.error_kind in {"rqmc_se", "mc_se"}:
        allowed += 5.0 * mi.error
    assert abs(mi.value - float(row["mi"])) <= allowed


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_family_has_a_reference_row(family):
    assert any(row["family"] == family for row in ROWS), f"no reference value for {family}"


def test_every_row_names_its_witness():
    assert all(row["witness"] and 0.0 <= float(row["tolerance"]) < 1e-2 for row in ROWS)
