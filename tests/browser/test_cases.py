"""The case browser, opened from disk in Chromium."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Page, TimeoutError, expect

from tests.browser.conftest import Open, Tab
from tests.browser.world import FILLERS, MARKUP, SEEN

pytestmark = pytest.mark.xdist_group("browser")

BETTER = "#/candidates/policy-a/better"
SPECIAL = [
    "better",
    "worse",
    "two-images",
    "failed",
    "hostile",
    "unasked",
    "folder/with #odd? name&",
]


def pids(page: Page) -> list[str]:
    found: list[str] = page.locator("a.row").evaluate_all("rows => rows.map(r => r.dataset.pid)")
    return found


def shows(page: Page, expected: list[str]) -> None:
    """The list comes to show these cases; what it shows follows the address a moment later."""
    with suppress(TimeoutError):
        page.wait_for_function(
            """expected => {
                const rows = [...document.querySelectorAll("a.row")];
                return JSON.stringify(rows.map(row => row.dataset.pid)) === expected;
            }""",
            arg=json.dumps(expected, separators=(",", ":")),
        )
    assert pids(page) == expected


def is_heading(page: Page, pid: str) -> None:
    expect(page.locator("h2:visible")).to_contain_text(pid)


# The list


def test_it_opens_with_the_cases_of_the_first_policy(tab: Tab) -> None:
    page = tab.open()
    expect(page.locator("#count")).to_have_text(f"{7 + FILLERS} cases")
    expect(page.locator("#note")).to_have_text("A world of three pictures.")
    assert pids(page)[:7] == SPECIAL
    first = page.locator("a.row").first
    expect(first).to_contain_text("chosen right")
    expect(first).to_contain_text("gate: for better")
    assert page.locator("a.row img").first.evaluate("image => image.decode().then(() => true)")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("source=Geometry", SPECIAL),
        ("choice=wrong", ["worse", "failed"]),
        ("choice=missed", ["worse", "failed"]),
        ("choice=tied", []),
        ("gate=changed", ["better", "worse", "two-images", SPECIAL[-1]]),
        ("gate=better", ["better", "two-images", SPECIAL[-1]]),
        ("gate=worse", ["worse"]),
        ("gate=better&aggregation=weighted_correctness", []),
        ("gate=same", []),
        ("gate=kept&source=Geometry", ["failed", "hostile"]),
        ("p=0.3", ["better", "worse", "two-images", "failed", SPECIAL[-1]]),
        ("p=0", []),
        ("failure=some", ["failed", "unasked"]),
        ("failure=judge:timeout", ["failed"]),
        ("failure=question:missing_image", ["unasked"]),
        ("failure=none&source=Geometry&gate=worse", ["worse"]),
        ("source=Geometry&sort=right", ["unasked", "worse", "failed", "better", "two-images",
                                        SPECIAL[-1], "hostile"]),
        ("source=Geometry&sort=reliability", ["better", "worse", "two-images", "failed",
                                              SPECIAL[-1], "hostile", "unasked"]),
        ("q=TRIANGLE long", ["two-images"]),
        ("q=no such words", []),
    ],
)  # fmt: skip
def test_a_filter_keeps_what_it_says(tab: Tab, query: str, expected: list[str]) -> None:
    page = tab.open(f"#/candidates?{query}")
    expect(page.locator("#count")).to_have_text(f"{len(expected)} of {7 + FILLERS} cases")
    shows(page, expected)
    expect(page.get_by_text("No case passes all filters.")).to_have_count(0 if expected else 1)


def test_filters_are_set_by_hand_and_kept_in_the_address(tab: Tab) -> None:
    page = tab.open()
    page.get_by_label("The gate", exact=True).select_option(label="for better")
    page.get_by_label("Search").press_sequentially("images")
    expect(page.locator("#count")).to_have_text(f"1 of {7 + FILLERS} cases")
    expect(page.get_by_label("Search")).to_be_focused()
    assert page.url.endswith("#/candidates?gate=better&q=images")
    page.go_back()
    shows(page, ["better", "two-images", SPECIAL[-1]])
    expect(page.get_by_label("Search")).to_have_value("")
    page.get_by_role("button", name="Clear filters").click()
    expect(page.locator("#count")).to_have_text(f"{7 + FILLERS} cases")
    expect(page.get_by_label("The gate", exact=True)).to_have_value("")


def test_filters_offer_what_there_is_with_counts(tab: Tab) -> None:
    page = tab.open()
    offered = page.get_by_label("Benchmark").locator("option").all_inner_texts()
    assert offered == ["all", "Geometry (7)", f"Charts ({FILLERS})"]
    assert "candidate:truncated (1)" in page.get_by_label("Failures").inner_text()


def test_another_policy_and_all_policies(tab: Tab) -> None:
    page = tab.open()
    page.get_by_label("Policy").select_option("policy-b")
    expect(page.locator("#count")).to_have_text(f"{1 + FILLERS} cases")
    page.get_by_label("Policy").select_option("*")
    expect(page.locator("#count")).to_have_text(f"{8 + 2 * FILLERS} cases")
    page.get_by_label("The gate", exact=True).select_option("better")
    shows(page, ["better", "two-images", SPECIAL[-1], "better"])
    page.locator("a.row").last.click()
    is_heading(page, "better")
    expect(page.locator(".place")).to_have_text("4 of 4 cases")
    expect(page.locator(".facts")).to_contain_text("policy-b")


def test_pages_of_the_list(tab: Tab) -> None:
    page = tab.open()
    page.get_by_role("button", name="Next page").click()
    expect(page.locator("#pages")).to_contain_text("Page 2 of 2")
    expect(page.locator("a.row")).to_have_count(7 + FILLERS - 40)
    page.get_by_label("Benchmark").select_option("Geometry")
    shows(page, SPECIAL)
    assert "page=" not in page.url


# A question and its candidates


def test_a_case_says_what_the_gate_did(tab: Tab) -> None:
    page = tab.open(BETTER)
    expect(page.locator(".verdict")).to_have_text(
        "Changed for better By geometric mean, the gate moves the choice from candidate 2 (wrong) "
        "to candidates 1, 4 (right)."
    )
    first, second, third, _ = page.locator(".candidate").all()
    expect(first).to_contain_text("chosen with gate")
    expect(second).to_contain_text("chosen without gate")
    expect(third).not_to_contain_text("chosen")
    row = page.get_by_role("row", name="weighted correctness")
    assert row.locator("td").all_inner_texts() == ["2 ✗", "2 ✗"]
    row.get_by_role("button", name="weighted correctness").click()
    expect(page.locator(".verdict")).to_contain_text("Choice kept By weighted correctness")
    expect(page.locator(".description")).to_contain_text("Leg AC is labelled 6")


def test_a_steps_colour_follows_its_reward(tab: Tab) -> None:
    page = tab.open(BETTER)
    steps = page.locator("#candidate-2 .step, #candidate-1 .step:last-child")
    expect(steps).to_have_count(4)
    looks = steps.evaluate_all("all => all.map(e => getComputedStyle(e).borderLeftColor)")
    rewards = steps.locator(".reward").all_inner_texts()
    assert dict(zip(rewards, looks, strict=True)).keys() == {"0.3", "1", "−1"}
    assert len(set(looks)) == 3


@pytest.mark.parametrize("way", ["hover", "focus"])
def test_a_reward_explains_itself(tab: Tab, way: str) -> None:
    page = tab.open(BETTER)
    reward = page.locator("#candidate-2 .reward").first
    tip = page.locator("#candidate-2 .tip").first
    expect(reward).to_have_text("0.3")
    expect(tip).to_be_hidden()
    getattr(reward, way)()
    expect(tip).to_be_visible()
    expect(tip).to_contain_text("Judged right (1), p(right) = 0.91")
    expect(tip).to_contain_text("gated to p = 0.3")
    assert reward.get_attribute("aria-describedby") == tip.get_attribute("id")


def test_premises_are_marked_with_the_auditors_reason(tab: Tab) -> None:
    page = tab.open(BETTER)
    supported = page.locator("#candidate-1 .premise").first
    expect(supported).to_contain_text(f"{SEEN['C']} supported")
    contradicted = page.locator("#candidate-2 .premise").first
    expect(contradicted).to_contain_text(f"{SEEN['AB']} contradicted (High)")
    expect(contradicted).to_contain_text("12 stands nowhere")
    expect(page.locator("#candidate-2 .remarks").first).to_contain_text("Only the legs are.")


def test_a_fact_that_an_audits_check_rejects_is_contradicted_by_what_it_saw(tab: Tab) -> None:
    page = tab.open(BETTER)
    rejected = page.locator("#candidate-3 .premise").first
    expect(rejected).to_contain_text(f"{SEEN['BC']} contradicted")
    expect(rejected.locator(".seen")).to_have_text("Leg BC is labelled 9.")
    expect(page.locator("#candidate-1 .seen")).to_have_count(0)


def test_a_question_keeps_its_room_beside_many_tied_choices(new_tab: Open, cases: Path) -> None:
    tab = new_tab(cases, viewport={"width": 1300, "height": 800})
    page = tab.open(BETTER)
    page.evaluate(
        """() => document.querySelectorAll(".choices td").forEach((cell) => {
            for (let n = 0; n < 8; n++) cell.append(cell.firstChild.cloneNode(true));
        })"""
    )
    asked = page.locator("#case .question").bounding_box()
    assert asked is not None
    assert asked["width"] >= 250


def test_the_judges_evidence_stands_beside_its_verdict(tab: Tab) -> None:
    page = tab.open(BETTER)
    steps = page.locator("#candidate-2 .step")
    expect(steps.nth(0).locator(".evidence")).to_have_text("AB carries no label.")
    expect(steps.nth(1).locator(".evidence")).to_have_count(0)
    expect(page.locator("#candidate-1 .evidence")).to_have_count(0)


def test_a_failed_candidate_says_why(tab: Tab) -> None:
    page = tab.open("#/candidates/policy-a/failed")
    failed = page.locator("#candidate-1")
    expect(failed).to_contain_text("Failed: truncated – the reply ends inside its JSON")
    failed.get_by_text("What the model said").click()
    expect(failed.locator("pre")).to_have_text(MARKUP)
    unaudited = page.locator("#candidate-2")
    expect(unaudited).to_contain_text("Failures: audit:invalid_json, judge[1]:timeout")
    assert unaudited.locator(".reward").all_inner_texts() == ["?", "?"]
    expect(unaudited.locator(".premise")).to_contain_text("not audited")


def test_a_question_that_was_never_asked(tab: Tab) -> None:
    page = tab.open("#/candidates/policy-a/unasked")
    expect(page.locator(".verdict")).to_have_text("No candidates: missing image. no file")
    expect(page.locator(".pictures")).to_have_text("Image: missing image")


def test_several_images_and_their_full_size(tab: Tab) -> None:
    page = tab.open("#/candidates/policy-a/two-images")
    images = page.locator(".picture img")
    expect(images).to_have_count(2)
    sizes = images.evaluate_all(
        "all => Promise.all(all.map(i => i.decode().then(() => [i.naturalWidth, i.naturalHeight])))"
    )
    assert sizes == [[800, 600], [320, 240]]
    assert page.locator(".options li").all_inner_texts() == ["6", "8", "10", "12"]
    images.first.click()
    expect(page.locator("#zoom img")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#zoom")).to_be_hidden()
    is_heading(page, "two-images")


def test_markup_in_texts_is_shown_and_never_run(tab: Tab) -> None:
    page = tab.open("#/candidates?source=Geometry")
    expect(page.locator('[data-pid="hostile"] .asked')).to_have_text(MARKUP)
    page.locator('[data-pid="hostile"]').click()
    is_heading(page, "hostile")
    for place in (
        ".asked",
        ".description p",
        ".answer strong",
        ".text",
        ".evidence",
        ".fact",
        ".reason",
    ):
        expect(page.locator(f"#case {place}").first).to_have_text(MARKUP)
    expect(page.locator("#case script, #case img[src=x]")).to_have_count(0)
    assert page.title() == "hostile · Geometry"


# Links


def test_a_link_opens_the_case_among_its_filtered_neighbours(tab: Tab, new_tab: Open) -> None:
    page = tab.open("#/candidates?gate=better")
    page.locator("a.row").last.click()
    is_heading(page, SPECIAL[-1])
    other = new_tab(Path(tab.base.removeprefix("file://"))).open(page.url.removeprefix(tab.base))
    is_heading(other, SPECIAL[-1])
    expect(other.locator(".place")).to_have_text("3 of 3 cases")
    other.get_by_role("link", name="Previous").click()
    is_heading(other, "two-images")


@pytest.mark.parametrize(
    "address",
    ["#/candidates/policy-a/nothing", "#/candidates/nobody/better", "#/solutions/%E0%A4%A"],
)
def test_a_link_to_nothing_says_so(tab: Tab, address: str) -> None:
    expect(tab.open(address).locator("#case [role=status]")).to_contain_text("There is no case")


@pytest.mark.parametrize("address", ["#", "#/no/such/thing", "#/candidates?source=None&page=x"])
def test_a_broken_address_shows_the_list(tab: Tab, address: str) -> None:
    page = tab.open(address)
    expect(page.locator("#browse")).to_be_visible()
    expect(page.locator("#count")).to_contain_text(f"{7 + FILLERS} cases")


def test_a_file_that_is_gone_is_named(new_tab: Open, cases: Path, tmp_path: Path) -> None:
    shutil.copytree(cases.parent, tmp_path / "copy")
    (tmp_path / "copy/candidates/policy-a/chunk-0.js").unlink()
    tab = new_tab(tmp_path / "copy/index.html")
    page = tab.open(BETTER)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("candidates/policy-a/chunk-0.js cannot be read")
    assert ["ERR_FILE_NOT_FOUND" in complaint for complaint in tab.complaints] == [True]
    tab.complaints.clear()


# The keyboard


def test_everything_by_keyboard(tab: Tab) -> None:
    page = tab.open()
    press = page.keyboard.press
    expect(page.locator("a.row")).to_have_count(40)
    for key in ("j", "j", "k", "j"):
        press(key)
    expect(page.locator('[data-pid="worse"]')).to_be_focused()
    press("Enter")
    is_heading(page, "worse")
    expect(page.locator("h2:visible")).to_be_focused()
    press("j")
    is_heading(page, "two-images")
    press("k")
    is_heading(page, "worse")
    press("a")
    expect(page.locator(".verdict")).to_contain_text("first error position")
    press("Escape")
    expect(page.locator('[data-pid="worse"]')).to_be_focused()
    press("n")
    expect(page.locator("#pages")).to_contain_text("Page 2 of 2")
    press("p")
    expect(page.locator("#pages")).to_contain_text("Page 1 of 2")
    press("/")
    expect(page.get_by_label("Search")).to_be_focused()
    page.keyboard.type("jku?")
    expect(page.get_by_label("Search")).to_have_value("jku?")
    press("Escape")
    press("r")
    expect(page.locator("#count")).to_have_text(f"{7 + FILLERS} cases")
    press("?")
    expect(page.get_by_role("dialog")).to_contain_text("How to read and use this page")
    press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_back_in_the_list_the_page_of_the_case_is_shown(tab: Tab) -> None:
    page = tab.open("#/candidates/policy-a/bars-44")
    is_heading(page, "bars-44")
    page.keyboard.press("u")
    expect(page.locator('[data-pid="bars-44"]')).to_be_focused()
    expect(page.locator("#pages")).to_contain_text("Page 2 of 2")


def test_the_focus_goes_through_the_page_in_reading_order(tab: Tab) -> None:
    page = tab.open("#/candidates?source=Geometry")
    expect(page.locator("a.row")).to_have_count(7)
    seen = []
    for _ in range(15):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate("(e => e.id || e.dataset.pid || e.textContent)(document.activeElement)")
        )
    filters = ["q", "policy", "source", "aggregation", "choice", "gate", "p", "failure", "sort"]
    expected = ["skip", "Candidates", "Labelled solutions", "help-open"]
    expected += [f"filter-{name}" for name in filters]
    assert seen == [*expected, "reset", "better"]


# Labelled solutions


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("mistakes=accepts", ["accepts"]),
        ("mistakes=rejects", ["rejects"]),
        ("mistakes=any", ["accepts", "rejects"]),
        ("mistakes=none", ["judge-failed"]),
        ("gate=caught", ["accepts"]),
        ("gate=lost", ["accepts"]),
        ("ablation=some", ["accepts"]),
        ("ablation=1", ["accepts"]),
        ("ablation=none", ["rejects", "judge-failed"]),
        ("failure=judge:timeout", ["judge-failed"]),
        ("solver=other-solver", ["judge-failed"]),
        ("source=MathVerse", ["rejects"]),
        ("p=0.3", []),
        ("q=other-solver", ["judge-failed"]),
    ],
)
def test_a_filter_of_solutions_keeps_what_it_says(
    tab: Tab, query: str, expected: list[str]
) -> None:
    page = tab.open(f"#/solutions?{query}")
    expect(page.locator("#count")).to_have_text(f"{len(expected)} of 3 cases")
    shows(page, expected)


def test_a_solution_shows_truth_against_verdicts(tab: Tab) -> None:
    page = tab.open("#/solutions/accepts")
    expect(page.locator(".verdict")).to_have_text(
        "1 false accept in 4 steps. The gate catches 1 of the false accepts and turns 1 right step "
        "wrong."
    )
    step = page.locator(".step").nth(1)
    assert step.locator(".mark").all_inner_texts() == [
        "truth ✗ wrong", "judged ✓ right", "gated ✗ wrong", "without caption ✗ wrong",
    ]  # fmt: skip
    assert step.locator(".badge").all_inner_texts() == ["false accept", "caught by the gate"]
    expect(step.locator(".premise")).to_contain_text("contradicted (High)")
    expect(step.locator(".evidence")).to_have_text("AB carries no label.")
    step.get_by_text("1 ablation judges otherwise").click()
    expect(step.locator(".otherwise li")).to_have_text("history_none: ✗")
    row = page.get_by_role("row", name="history_none")
    assert row.locator("td:not(.change)").all_inner_texts() == ["✓", "✗", "✓", "✓"]
    expect(row.locator(".differs")).to_have_count(1)
    expect(page.get_by_role("row", name="history_last1").locator(".differs")).to_have_count(0)


def test_a_false_reject_and_a_failed_judge(tab: Tab) -> None:
    page = tab.open("#/solutions/rejects")
    expect(page.locator(".step").first.locator(".badge")).to_have_text("false reject")
    expect(page.locator(".question .asked")).to_have_text(MARKUP)
    page.keyboard.press("j")
    is_heading(page, "judge-failed")
    expect(page.locator(".step").first).to_contain_text("judged ? not known")
    expect(page.locator(".failures")).to_contain_text("judge[0]:timeout")


def test_both_kinds_are_one_click_apart(tab: Tab) -> None:
    page = tab.open()
    page.get_by_role("link", name="Labelled solutions").click()
    shows(page, ["accepts", "rejects", "judge-failed"])
    page.get_by_role("link", name="Candidates").click()
    expect(page.locator("a.row").first).to_have_attribute("data-pid", "better")


# For everybody's eyes

SIGHTS = [
    "#/candidates",
    BETTER,
    "#/candidates/policy-a/failed",
    "#/solutions",
    "#/solutions/accepts",
]

# Returns the texts whose contrast with the ground behind them is below 4.5.
FAINT = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255];
  };
  const light = (colour) => colour.slice(0, 3).map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
  const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  return [...document.querySelectorAll("body *")]
    .filter((e) => e.checkVisibility() && !e.closest(":disabled, [aria-disabled=true]"))
    .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
    .filter((e) => contrast(light(rgb(getComputedStyle(e).color)), light(ground(e))) < 4.5)
    .map((e) => `${e.className}: ${e.textContent}`);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_its_ground(new_tab: Open, cases: Path, scheme: str) -> None:
    tab = new_tab(cases, color_scheme=scheme)
    for address in SIGHTS:
        page = tab.open(address)
        expect(page.locator("a.row:visible, .step:visible").first).to_be_visible()
        assert page.evaluate(FAINT) == []


def test_both_schemes_differ(new_tab: Open, cases: Path) -> None:
    grounds = [
        new_tab(cases, color_scheme=scheme)
        .open()
        .evaluate("getComputedStyle(document.body).backgroundColor")
        for scheme in ("light", "dark")
    ]
    assert len(set(grounds)) == 2


@pytest.mark.parametrize("width", [400, 800, 1440])
def test_nothing_is_wider_than_the_screen(new_tab: Open, cases: Path, width: int) -> None:
    tab = new_tab(cases, viewport={"width": width, "height": 800})
    for address in [*SIGHTS, "#/candidates/policy-a/hostile"]:
        page = tab.open(address)
        expect(page.locator("a.row:visible, .step:visible").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
