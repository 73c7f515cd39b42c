"""The report in a real Chromium: filters, search, sorting; no error, no request, any width.

Where the page is wide enough, no table is cut off.
"""

import re
import shutil
from collections import Counter
from itertools import pairwise, product

import pytest

import mistdata
from mistdata.distributions.families import FAMILIES
from mistdata.report import collect, write_page
from mistdata.store.ledger import read_record

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium; .ci/run installs it"),
]


@pytest.fixture(scope="module")
def address(small_store, tmp_path_factory):
    """A page with an audit as `mistdata verify --deep --json` prints it."""
    components = [
        {"component": "a/identity", "datasets": 3, "rows": 900, "difference": 0.01, "z": 1.5},
        {"component": "b/identity", "datasets": 2, "rows": 300, "difference": -0.02, "z": -0.5},
    ]
    figures = {"datasets": 5, "z_mean": 0.1, "z_std": 1.0, "z_above_3": 0.0, "ok": True}
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_page(path, collect(small_store, {"audit": figures | {"components": components}}))
    return path.as_uri()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield opened
        opened.close()


@pytest.fixture(
    params=[(1200, 900, "light"), (360, 740, "dark"), (1600, 1000, "dark")],
    ids=["desk", "phone", "wide"],
)
def page(request, browser, address):
    """The page; its errors and requests are collected, and must be none."""
    width, height, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    opened = context.new_page()
    problems = []
    opened.on("console", lambda message: problems.append(message.text))
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("request", lambda sent: problems.append(sent.url) if sent.url != address else None)
    opened.goto(address)
    yield opened
    context.close()
    assert problems == []


@pytest.fixture
def carried(browser, carried_store, tmp_path):
    """The page of a store that flows carried, and the requests and errors there were."""
    write_page(tmp_path / "carried.html", collect(carried_store))
    context = browser.new_context(viewport={"width": 360, "height": 740})
    opened = context.new_page()
    problems = []
    opened.on("console", lambda message: problems.append(message.text))
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.goto((tmp_path / "carried.html").as_uri())
    yield opened
    context.close()
    assert problems == []


def test_pictures_and_certificates_of_a_carried_store(carried, carried_store):
    assert carried.locator("#images canvas").count() == 4
    painted = carried.locator("#images canvas").evaluate_all(
        "all => all.map(c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data)"
        ".map(data => new Set(data).size)"
    )
    assert min(painted) > 10  # shades
    flagged = sum(mistdata.open(carried_store).column("flags") > 0)
    assert carried.text_content("#certificates-text").startswith(f"{flagged} datasets are flagged")
    assert carried.locator("#certificates tbody tr").count() == 2
    overflow = carried.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert overflow <= 0


def test_filters_change_the_charts(page):
    assert page.text_content("#chosen") == "260 datasets"
    before = page.inner_html("#charts")
    page.select_option("#split", "validation")
    assert page.text_content("#chosen") == "60 datasets"
    assert page.inner_html("#charts") != before
    page.click("#reset")
    assert page.inner_html("#charts") == before


def test_choices_that_no_dataset_meets_say_so(page, small_store):
    catalog = mistdata.open(small_store)
    components = set(catalog.column("component"))
    families, transforms = (sorted({c.split("/")[part] for c in components}) for part in (0, 1))
    family, transform = next(
        each for each in product(families, transforms) if "/".join(each) not in components
    )
    page.select_option("#family", family)
    page.select_option("#transform", transform)
    assert page.text_content("#chosen").startswith("No dataset is of this")


@pytest.mark.parametrize(("part", "what"), [(0, "family"), (1, "transform")])
def test_a_row_of_a_list_filters_the_charts(page, small_store, part, what):
    rows = page.locator(f"#facets label:visible:has([name=by-{what}])")
    names = rows.locator("span").all_text_contents()
    found = [int(text.replace(",", "")) for text in rows.locator("output").all_text_contents()]
    catalog = mistdata.open(small_store)
    expected = Counter(each.split("/")[part] for each in catalog.column("component"))
    assert dict(zip(names[1:], found[1:], strict=True)) == expected
    assert found[0] == len(catalog)
    before = page.inner_html("#charts")
    rows.nth(2).click()
    assert page.input_value(f"#{what}") == names[2]
    assert page.text_content("#chosen") == f"{expected[names[2]]} datasets"
    assert page.inner_html("#charts") != before
    rows.nth(0).click()
    assert page.inner_html("#charts") == before


def test_the_lists_are_used_by_keyboard(page):
    page.focus("[name=by-family]:checked")
    page.keyboard.press("ArrowDown")
    chosen = page.input_value("#family")
    assert chosen == page.input_value("[name=by-family]:checked") != ""
    page.select_option("#family", "")
    assert page.input_value("[name=by-family]:checked") == ""


def test_a_list_counts_what_the_other_choices_leave(page, small_store):
    catalog = mistdata.open(small_store).where("split = 'validation'")
    page.select_option("#split", "validation")
    rows = page.locator("#facets label:visible:has([name=by-family])")
    names = rows.locator("span").all_text_contents()
    assert set(names[1:]) == set(catalog.column("family"))
    assert rows.locator("output").first.text_content() == str(len(catalog))


def test_whole_numbers_have_whole_labels(page):
    for chart in page.locator("#charts figure").all()[1:]:
        labels = chart.locator("text.mark").all_text_contents()
        assert labels
        assert all(re.fullmatch(r"[\d,]+(–[\d,]+)?", label) for label in labels)


def test_charts_have_title_unit_name_and_text_that_can_be_read(page):
    charts = page.locator("figure:has(svg text)").all()
    assert len(charts) == 5
    for chart in charts:
        title = chart.locator("figcaption").text_content()
        name = chart.locator("svg").get_attribute("aria-label")
        texts = chart.locator("svg text").all_text_contents()
        assert title and name.startswith(f"{title}, {texts[-1]}: ")
        height = chart.locator("text.mark").first.evaluate("e => e.getBoundingClientRect().height")
        assert height > 12
        ends = chart.locator("text.mark").evaluate_all(
            "all => all.map(e => e.getBoundingClientRect()).map(r => [r.left, r.right])"
        )
        ordered = sorted(ends)
        assert all(a[1] <= b[0] for a, b in pairwise(ordered)), "labels overlap"
        left, right = chart.locator("svg").evaluate(
            "e => [e.getBoundingClientRect()].map(r => [r.left, r.right])[0]"
        )
        for start, end in chart.locator("svg text").evaluate_all(
            "all => all.map(e => e.getBoundingClientRect()).map(r => [r.left, r.right])"
        ):
            assert left - 1 <= start and end <= right + 1, "text is clipped"


def test_tables_are_not_cut_off(page):
    cut = page.evaluate(
        "[...document.querySelectorAll('.scroll')].map(e => e.scrollWidth - e.clientWidth)"
    )
    assert page.viewport_size["width"] < 1200 or max(cut) <= 0


def test_what_it_is_and_how_to_open_it(page, small_store):
    assert 'mistdata.open("STORE")' in page.text_content("#python")
    assert "mistdata verify STORE" in page.text_content("#shell")
    assert "licensed CC-BY-4.0" in page.text_content("#subtitle")
    provenance = page.text_content("#provenance")
    for name, value in read_record(small_store).fingerprint.items():
        assert f"fingerprint: {name}{value}" in provenance
    checks = page.text_content("#checks")
    assert re.search(r"z of \d+ distributions has mean -?[\d.]+ and deviation [\d.]+;", checks)
    assert FAMILIES["student-sparse"].formula in page.text_content("#families")


def test_the_search_narrows_and_headings_sort(page):
    every = page.locator("#components tbody tr").count()
    page.fill("#search", "student")
    names = page.locator("#components tbody td:first-child").all_text_contents()
    assert 0 < len(names) < every
    assert all("student" in name for name in names)
    page.fill("#search", "")
    heading = page.locator("#components th button", has_text="MI median")
    heading.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    column = page.locator("#components tbody td:nth-child(6)").all_text_contents()
    assert float(column[0]) == max(map(float, column))
    assert page.locator("#components th[aria-sort=descending]").count() == 1


def test_the_page_fits_its_window(page):
    overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert overflow <= 0


def test_controls_are_reached_by_keyboard(page):
    reached = []
    for _ in range(9):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.id || document.activeElement.tagName")
        )
    assert reached == [
        "python", "shell", "split", "family", "transform", "reset", "INPUT", "INPUT", "DIV"
    ]  # fmt: skip


def test_the_audit_is_shown(page):
    assert "5 labels against the stored rows" in page.text_content("#audit-text")
    assert page.locator("#audit tbody tr").count() == 2
    assert page.is_hidden("#certificates-section")
