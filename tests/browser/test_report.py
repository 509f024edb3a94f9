"""The report of a run and the gallery of its figures, opened from disk in Chromium."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from evpv_prm import write_report
from evpv_prm.run_report.exhibits import EXHIBITS
from tests.browser.conftest import Open
from tests.reported import LONG, MARKUP, report_words

pytestmark = pytest.mark.xdist_group("browser")

DESKTOP, PHONE = {"width": 1400, "height": 900}, {"width": 390, "height": 844}
FIGURES = sum(exhibit.kind == "figures" for exhibit in EXHIBITS)
LOADED = "images => Promise.all(images.map(image => image.decode().then(() => image.naturalWidth)))"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with its report."""
    folder = tmp_path_factory.mktemp("run")
    assert write_report.main(report_words(folder)) == 0
    return folder


def is_as_wide_as_the_window(page: Page) -> bool:
    fits: bool = page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    return fits


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("file", ["report.html", "figures/index.html"])
def test_it_opens_offline_with_all_of_its_pictures(
    new_tab: Open, run: Path, file: str, viewport: dict[str, int]
) -> None:
    page = new_tab(run / file, viewport=viewport).open()
    widths = page.locator("img").evaluate_all(LOADED)
    assert len(widths) == FIGURES
    assert all(widths)
    assert is_as_wide_as_the_window(page)


def test_the_report_is_one_file(new_tab: Open, run: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone.html"
    alone.write_bytes((run / "report.html").read_bytes())
    page = new_tab(alone).open()
    assert all(page.locator("img").evaluate_all(LOADED))


def test_what_looks_like_html_is_shown_and_never_run(new_tab: Open, run: Path) -> None:
    page = new_tab(run / "report.html").open()
    expect(page).to_have_title("EVPV-PRM: report of a run")
    expect(page.get_by_text(MARKUP).first).to_be_visible()


def test_the_contents_lead_to_every_exhibit(new_tab: Open, run: Path) -> None:
    page = new_tab(run / "report.html", viewport=DESKTOP).open()
    links = page.locator("nav a")
    targets = links.evaluate_all("links => links.map(link => link.getAttribute('href'))")
    assert {f"#{exhibit.kind}-{exhibit.name}" for exhibit in EXHIBITS} <= set(targets)
    assert page.evaluate("hrefs => hrefs.filter(h => !document.querySelector(h))", targets) == []
    page.locator("nav a", has_text="Time by stage").click()
    expect(page.locator("#figures-stage_costs")).to_be_in_viewport()


def test_light_and_dark_can_both_be_read(new_tab: Open, run: Path) -> None:
    """The contrast of text that WCAG 2 asks for at level AA."""
    for scheme in ("light", "dark"):
        page = new_tab(run / "report.html", color_scheme=scheme).open()
        for text in ("p.caution", ".caption", "td", "nav a", ".cards span"):
            colours = page.locator(text).first.evaluate(COLOURS)
            assert contrast(*colours) >= 4.5, (scheme, text, colours)


COLOURS = """element => {
    const read = colour => colour.match(/[\\d.]+/g).map(Number);
    let behind = element;
    const back = () => read(getComputedStyle(behind).backgroundColor);
    while (behind.parentElement && back()[3] === 0) behind = behind.parentElement;
    return [read(getComputedStyle(element).color), back()].map(colour => colour.slice(0, 3));
}"""


def contrast(one: list[float], other: list[float]) -> float:
    """The contrast ratio of two colours (WCAG 2.2)."""

    def luminance(colour: list[float]) -> float:
        shares = [value / 255 for value in colour]
        linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
        return sum(w * s for w, s in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted(map(luminance, (one, other)))
    return (high + 0.05) / (low + 0.05)


def test_a_long_table_opens_on_demand(new_tab: Open, run: Path) -> None:
    page = new_tab(run / "report.html").open()
    row = page.get_by_role("rowheader", name="row 59", exact=True)
    expect(row).to_be_hidden()
    page.get_by_text(f"Table of {LONG} (61 rows)").click()
    expect(row).to_be_visible()


def test_in_print_everything_is_open_and_black_on_white(new_tab: Open, run: Path) -> None:
    page = new_tab(run / "report.html").open()
    page.emulate_media(media="print", color_scheme="dark")
    expect(page.locator("nav")).to_be_hidden()
    expect(page.get_by_text("row 59", exact=True)).to_be_visible()
    assert page.locator("p.caution").first.evaluate(COLOURS) == [[0, 0, 0], [255, 255, 255]]
