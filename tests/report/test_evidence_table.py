"""The evidence page: its table, its texts, and its print on one page."""

import re
from pathlib import Path

import pytest
from tests.support.browser import check_readable
from tests.support.evidence_pages import crowded_page
from tests.support.pages import rows_page, unscored_page

from palimpsest.errors import ResourceError
from palimpsest.report import ReportInput, build_evidence, judge, render_evidence, render_page
from palimpsest.report.evidence_lines import evidence_lines
from palimpsest.report.evidence_table import MOST_LINES, evidence_variables, shown_lines
from palimpsest.report.pdf import find_chromium, write_pdf

A4 = {"width": 695, "height": 1046}
"""The printed area of a page in CSS pixels: A4 without the margins of the style sheet."""


def draw(page: ReportInput, *, redact: bool = False) -> str:
    return render_evidence(page, judge(page), redact=redact)


@pytest.fixture(scope="module")
def html() -> str:
    return draw(crowded_page(further=12))


def pages_of(html: str, folder: Path) -> int:
    """Print a page and count the pages of the PDF."""
    try:
        find_chromium()
    except ResourceError:
        pytest.skip("no Chromium on this machine's path")
    write_pdf(html, folder / "page.pdf")
    return len(re.findall(rb"/Type\s*/Page\b(?!s)", (folder / "page.pdf").read_bytes()))


def test_the_table_has_a_group_for_each_question() -> None:
    page = crowded_page()
    groups = evidence_variables(page, judge(page))["tests"]
    assert [question for question, _ in groups] == [
        "What do the proofs reveal?",
        "Has the model forgotten?",
        "What does an accepted proof show?",
    ]
    row = groups[0][1][3]
    assert row["result"] == "30.0\N{NO-BREAK SPACE}%"
    assert row["interval"] == "20.0\N{NO-BREAK SPACE}% to 40.0\N{NO-BREAK SPACE}%"
    assert row["comparison"] == "chance 0.8\N{NO-BREAK SPACE}%"


def test_tests_for_information_yield_to_tests_that_decide() -> None:
    lines = evidence_lines(crowded_page(further=30).metrics)
    shown = shown_lines(lines)
    assert len(shown) == MOST_LINES
    assert [line for line in shown if line.finding == "found"] == [
        line for line in lines if line.finding == "found"
    ]
    assert not [line for line in shown if line.finding == "information"]
    assert shown == sorted(shown, key=lines.index)
    variables = evidence_variables(crowded_page(further=30), judge(crowded_page(further=30)))
    assert variables["left_out"] == len(lines) - MOST_LINES


def test_the_report_begins_with_the_same_page() -> None:
    page = crowded_page()
    report, alone = render_page(page, judge(page)), draw(page)

    def section(text: str) -> str:
        found = re.search(r'<section id="summary".*?</section>', text, re.DOTALL)
        assert found is not None
        return re.sub(r'<p class="privacy">.*?</p>', "", found.group(), flags=re.DOTALL)

    assert section(report) == section(alone)
    assert report.index('id="summary"') < report.index('id="findings"')


def test_prints_the_rule_of_every_grade_and_marks_those_of_the_page(html: str) -> None:
    for rule in (
        "rebuilds or recognizes",
        "Only a recipient",
        "known to work",
        "nothing shows",
        "no less clearly",
    ):
        assert rule in html
    assert html.count('class="chosen"') == 2
    assert "The residual risk is the higher of the two grades" in html
    assert "no legal assessment" in html
    assert html.count("Date and signature") == 2


def test_escapes_hostile_texts() -> None:
    text = draw(unscored_page(facts=[("<script>", "<img src=x>")], title="<b>x</b>"))
    assert "<img" not in text
    assert "<b>" not in text


def test_a_redacted_page_names_no_place_and_has_no_image() -> None:
    page = crowded_page(
        title="igf attack on /home/quill/proofs.safetensors", facts=[("Data", "/home/quill/scans")]
    )
    text = draw(page, redact=True)
    assert "quill" not in text
    assert "[left out]" in text
    assert "Redacted." in text
    assert not re.search(r"data:image/\w+;base64,\w|<img", draw(page))
    assert build_evidence(page, judge(page)).redacted is False


@pytest.mark.parametrize("further", [0, 30])
def test_a_crowded_page_prints_on_one_page(further: int, tmp_path: Path) -> None:
    assert pages_of(draw(crowded_page(further=further, title="word " * 60)), tmp_path) == 1


@pytest.mark.parametrize("page", [unscored_page(), rows_page()])
def test_other_runs_print_on_one_page(page: ReportInput, tmp_path: Path) -> None:
    assert pages_of(draw(page), tmp_path) == 1


def test_the_count_of_printed_pages_can_be_two(html: str, tmp_path: Path) -> None:
    longer = html.replace("</section>", "<p>Further.</p>" * 20 + "</section>")
    assert pages_of(longer, tmp_path) == 2


@pytest.mark.parametrize("further", [0, 30])
def test_the_first_page_of_the_report_is_the_evidence_page(further: int, open_page) -> None:
    page = crowded_page(further=further, title="word " * 60)
    opened = open_page(render_page(page, judge(page)), viewport=A4).page
    opened.emulate_media(media="print")
    box = opened.locator("#summary").bounding_box()
    assert box["y"] + box["height"] <= A4["height"]
    style = "getComputedStyle(document.getElementById('findings')).breakBefore"
    assert opened.evaluate(style) == "page"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("redact", [False, True])
def test_is_accessible_on_a_desktop_and_on_a_phone(redact: bool, scheme: str, open_page) -> None:
    check_readable(open_page(draw(crowded_page(further=2), redact=redact), color_scheme=scheme))


def test_is_readable_without_scripts(open_page, html: str) -> None:
    page = open_page(html, java_script_enabled=False).page
    assert page.get_by_role("table").count() == 2
    assert page.locator(".signature").count() == 2


def test_printed_text_is_dark_on_white_whatever_the_theme(open_page, html: str) -> None:
    page = open_page(html, color_scheme="dark").page
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(34, 29, 23)"
