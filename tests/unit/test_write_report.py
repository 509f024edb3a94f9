"""The report of a run and the gallery of its figures."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from docutils.core import publish_doctree
from docutils.utils import Reporter

from evpv_prm import write_report
from evpv_prm.cli import run
from evpv_prm.config import Config, load_config
from evpv_prm.run_report.configuration import differences
from evpv_prm.run_report.exhibits import CAPTIONS, EXHIBITS, OVERVIEW, find
from tests.measured import AGGREGATION
from tests.reported import MARKUP, NOTE, report_words


class Page(HTMLParser):
    """The texts of a page's table rows, its links and pictures, and its elements."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.links: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.in_cell = False
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        values = dict(attrs)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.in_cell = True
        if tag == "img":
            self.images.append(values)
        if tag in ("a", "link") and values.get("href"):
            self.links.append(str(values["href"]))

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.in_cell:
            self.rows[-1][-1] += data

    def handle_endtag(self, tag: str) -> None:
        self.in_cell &= tag not in ("td", "th")


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    return report_words(tmp_path)


@pytest.fixture
def report(words: list[str], tmp_path: Path) -> Page:
    assert run(lambda: write_report.main(words)) == 0
    return Page(tmp_path / "report.html")


def test_the_report_needs_no_other_file(report: Page) -> None:
    assert len(report.images) == sum(exhibit.kind == "figures" for exhibit in EXHIBITS)
    assert all(str(image["src"]).startswith("data:image/png;base64,") for image in report.images)
    assert all(image["alt"] for image in report.images)
    assert "script" not in report.elements
    assert [link for link in report.links if ":" in link] == ["data:,"]
    assert "cases/index.html" in report.links


def test_every_exhibit_stands_with_its_caption_and_its_files(report: Page, tmp_path: Path) -> None:
    for exhibit in EXHIBITS:
        assert exhibit.title in report.text
        assert f"#{exhibit.kind}-{exhibit.name}" in report.links
    files = [
        link for link in report.links if link.endswith((".csv", ".md", ".tex", ".png", ".pdf"))
    ]
    assert len(files) == 3 * len(EXHIBITS)
    assert [link for link in files if not (tmp_path / link).is_file()] == []


def test_a_figure_is_shown_at_the_size_of_its_print(report: Page) -> None:
    """600 by 300 dots, 300 to the inch, at 112 pixels to the inch."""
    assert {(image["width"], image["height"]) for image in report.images} == {("224", "112")}


def test_what_looks_like_html_is_text(report: Page) -> None:
    assert report.rows.count([f"a|b {MARKUP}", "1.0"]) == sum(e.kind == "tables" for e in EXHIBITS)
    assert ["Verifier", MARKUP, "vllm", "v2, weights 0123456789ab"] in report.rows


def test_it_says_what_was_run(report: Page) -> None:
    assert NOTE in report.text
    assert ["seed", "20260130", "7"] in report.rows
    assert ["policies.tiny", "–", "model: tiny/model"] in report.rows
    assert ["Lengths", "q.jsonl", "missing image (2)", "10", "9"] in report.rows
    assert ["Vision", "labelled - (2)", "12", "5", "5", "8"] in report.rows
    assert ["score", "2", "120.0 min", "60.0 s", "240.0 min", "2.0"] in report.rows
    assert "Gain of tiny, points with 95 % interval" in report.text


def test_the_funnel_counts_what_was_left(report: Page) -> None:
    assert ["tiny", "Lengths", "10", "8", "64", "61", "60"] in report.rows
    assert ["direct", "Angles", "4", "4", "4", "4", "4"] in report.rows


def test_the_funnel_draws_shares_of_what_there_was(report: Page, tmp_path: Path) -> None:
    shares = re.findall(r"--share: ([\d.]+)%", (tmp_path / "report.html").read_text())
    assert shares[:5] == ["100.0", "80.0", "80.0", "76.2", "75.0"]


def test_failures_stand_by_reason(report: Page) -> None:
    assert ["Best-of-N", "tiny, Lengths", "candidate", "truncated", "3"] in report.rows
    assert ["Best-of-N", "tiny, Lengths", "question", "missing image", "2"] in report.rows


def test_the_gallery_shows_the_files_of_the_figures(report: Page, tmp_path: Path) -> None:
    gallery = Page(tmp_path / "figures/index.html")
    sources = [str(image["src"]) for image in gallery.images]
    assert sources == [f"{e.name}.png" for e in EXHIBITS if e.kind == "figures"]
    files = [link for link in gallery.links if not link.startswith("data:")]
    assert [link for link in files if not (tmp_path / "figures" / link).is_file()] == []


def test_a_part_of_the_exhibits_makes_a_report(words: list[str], tmp_path: Path) -> None:
    only = ["--tables", str(tmp_path / "tables/best_of_n.md"), "--figures"]
    assert run(lambda: write_report.main([*words, *only])) == 0
    page = Page(tmp_path / "report.html")
    assert page.images == []
    assert "Table of best_of_n" in page.text
    assert "Training curves" not in page.text


@pytest.mark.parametrize(
    ("flag", "file", "content", "complaint"),
    [
        ("--tables", "tables/mine.md", "x", "expected tables/NAME.md or figures/NAME.png"),
        ("--tables", "tables/gate.md", None, "gate.md: cannot be read: No such file"),
        ("--figures", "figures/gate.png", "x", "gate.png: expected a picture"),
        ("--inputs", "bad.json", "{}", "bad.json: benchmarks: Field required"),
        ("--costs", "bad.csv", "stage\n", "bad.csv: expected the CSV of stage_costs"),
        ("--provenance", "bad.json", "{}", "bad.json: written: Field required"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    flag: str, file: str, content: str | None, complaint: str,
) -> None:  # fmt: skip
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_text(content)
    assert run(lambda: write_report.main([*words, flag, str(tmp_path / file)])) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1
    assert not (tmp_path / "report.html").exists()


# The configuration


def test_the_papers_experiment_differs_in_nothing() -> None:
    table = differences(Config())
    assert table.rows == []
    assert table.notes == ["None: this is the paper's experiment."]


def test_differences_name_the_key_the_papers_value_and_the_runs() -> None:
    config = load_config(
        {
            "shards": 3,
            "candidates": {"letters_only": True},
            "best_of_n": {"aggregations": [AGGREGATION]},
            "intervention": None,
            "training": {"vision_sft": {"learning_rate": 0.5}},
        }
    )
    rows = {row[0]: row[1:] for row in differences(config).rows}
    assert rows.keys() == {
        "shards",
        "candidates.letters_only",
        "best_of_n.aggregations",
        "intervention",
        "training.vision_sft.learning_rate",
    }
    assert rows["shards"] == ["2", "3"]
    assert rows["candidates.letters_only"] == ["false", "true"]
    assert rows["best_of_n.aggregations"][1] == f'["{AGGREGATION}"]'
    assert rows["intervention"][1] == "–"


# Captions


def test_every_exhibit_has_a_caption_and_every_caption_an_exhibit() -> None:
    captions = {exhibit.caption for exhibit in EXHIBITS}
    assert captions | {OVERVIEW} == set(CAPTIONS.iterdir())
    assert len(captions) == len(EXHIBITS)


@pytest.mark.parametrize("caption", sorted(CAPTIONS.iterdir()), ids=lambda path: path.stem)
def test_a_caption_is_sound_text(caption: Path) -> None:
    settings = {"halt_level": Reporter.INFO_LEVEL, "report_level": Reporter.SEVERE_LEVEL}
    assert publish_doctree(caption.read_text(), settings_overrides=settings).astext()


def test_an_unknown_exhibit_is_an_error() -> None:
    assert find("figures", "gate").section == "The gate"
    with pytest.raises(KeyError, match="tables/stage_costs"):
        find("tables", "stage_costs")
