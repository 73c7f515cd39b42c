"""The report in a real Chromium: filters, search, sorting; no error, no request, any width."""

import shutil

import pytest

from mistdata.report import collect, write_page

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


@pytest.fixture(params=[(1200, 900, "light"), (360, 740, "dark")], ids=["desk", "phone"])
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


def test_filters_change_the_charts(page):
    assert page.text_content("#chosen") == "260 datasets"
    before = page.inner_html("#charts")
    page.select_option("#split", "validation")
    assert page.text_content("#chosen") == "60 datasets"
    assert page.inner_html("#charts") != before
    page.click("#reset")
    assert page.inner_html("#charts") == before


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
    for _ in range(6):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.id || document.activeElement.tagName")
        )
    assert reached[:4] == ["split", "family", "reset", "search"]


def test_the_audit_is_shown(page):
    assert "5 labels against the stored rows" in page.text_content("#audit-text")
    assert page.locator("#audit tbody tr").count() == 2
    assert page.is_hidden("#certificates-section")
