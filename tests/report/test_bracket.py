from xml.etree import ElementTree

from tests.report.test_worth import TREE
from tests.support.pages import BOUNDS, make_metrics, synthetic_report

from palimpsest.report import judge
from palimpsest.report.bracket import bracket_plots
from palimpsest.report.render import render_report


def label(svg: str) -> str:
    return (ElementTree.fromstring(svg).get("aria-label") or "").replace("\N{NO-BREAK SPACE}", " ")


def test_plots_have_the_attack_the_bounds_and_chance() -> None:
    metrics = make_metrics(mse=0.09, top1=0.01, count=120, bounds=BOUNDS, linkage=TREE["linkage"])
    linkage, error = bracket_plots(metrics)
    assert label(linkage.svg) == (
        "Linkage: attack and bounds: linkage attack 100.0 %; best possible attack 2.0 %; bound, these candidates "
        "2.6 %; bound, all proofs at once 5.8 %; bound, any candidates 4.1 %; chance 0.8 %."
    )
    assert label(error.svg) == (
        "Error: attack and bounds: attack 0.09; bound, auxiliary samples 0.072; bound, Gaussian classes 0.042; "
        "constant answer 0.08."
    )
    assert "Bar: a bound" in linkage.caption


def test_nothing_is_drawn_without_bounds() -> None:
    for bounds in (None, {"reason": "no bound: why"}):
        assert bracket_plots(make_metrics(mse=0.09, top1=0.01, count=120, bounds=bounds)) == []


def test_the_page_has_the_bracket_or_the_reason() -> None:
    for bounds, plots in (
        (BOUNDS, 2),
        ({"reason": "no bound: the proof is a fixed function of the sample"}, 0),
    ):
        page = synthetic_report(12, parts={"bounds": bounds})
        html = render_report(page, judge(page), redact=True)
        section = html.split('<section id="bounds"')[1].split("</section>")[0]
        assert section.count("<figure") == plots
        assert ("No bound: the proof is a fixed function of the sample." in section) == (plots == 0)
        assert ("They do not cover what the two models" in section) == (plots > 0)
    page = synthetic_report(12)
    assert 'id="bounds"' not in render_report(page, judge(page), redact=True)
