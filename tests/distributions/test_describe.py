"""What is written about families and maps comes from the code."""

from pathlib import Path

from mistdata.distributions import FAMILIES, TRANSFORMS
from mistdata.distributions.describe import describe_families, describe_transforms, markdown

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_families_is_current():
    page = (DOCS / "families.md").read_text(encoding="utf-8")
    assert page == markdown(), "run: mistdata families --markdown > docs/families.md"


def test_the_page_names_every_family_and_map_with_every_parameter():
    page = markdown()
    for name, owner in {**FAMILIES, **TRANSFORMS}.items():
        assert f"| `{name}` |" in page
        (line,) = [each for each in page.splitlines() if each.startswith(f"- `{name}`: ")]
        assert all(f"`{key}`" in line for key in owner.parameters)


def test_descriptions_are_sentences():
    for entry in (*describe_families().values(), *describe_transforms().values()):
        assert entry["summary"].endswith(".")
        assert "\n" not in entry["summary"]
