from pathlib import Path

from tests.support.forgetting import measured

from palimpsest.registry import VERIFIERS
from palimpsest.reproduce.forgetting_figure import draw_curves, draw_levels, save_figure
from palimpsest.reproduce.forgetting_rows import ORIGINAL, ForgettingRow, make_row
from palimpsest.reproduce.forgetting_settings import LEVELS
from palimpsest.reproduce.summary import estimate

RUNS = {1: measured(accuracy=0.4), 2: measured(accuracy=0.6)}


def rows(setting: str) -> list[ForgettingRow]:
    return [make_row(setting, method, RUNS, seconds={1: 2.0, 2: 2.0}) for method in (ORIGINAL, "ascent")]


def test_a_panel_for_each_setting_with_a_curve_for_each_model():
    figure = draw_curves([*rows("here"), *rows("there")])
    assert [axes.get_title() for axes in figure.axes] == ["here", "there"]
    labels = [line.get_label() for line in figure.axes[0].lines]
    assert labels == [ORIGINAL, "ascent", "chance"]
    assert figure.axes[0].get_xscale() == figure.axes[0].get_yscale() == "log"
    assert figure.axes[0].get_xlim() == (1 / 200, 1)


def test_levels_are_drawn_against_the_local_epochs(tmp_path: Path):
    chosen = LEVELS[:2]
    names = ("mse", "mean image", "identified", *(name for name, _ in VERIFIERS))
    leaks = {
        (setting.name, "ascent"): {name: estimate([0.1 * setting.local_epochs, 0.2]) for name in names}
        for setting in reversed(chosen)
    }
    figure = draw_levels([row for setting in chosen for row in rows(setting.name)], leaks, chosen)
    accuracy, forgetting, membership, error, identified, verifiers = figure.axes
    assert error.lines[0].get_label() == "ascent"
    assert list(error.lines[0].get_ydata()) == [
        leaks[setting.name, "ascent"]["mse"].mean for setting in chosen
    ]
    assert {line.get_label() for line in verifiers.lines} >= {name for name, _ in VERIFIERS}
    assert "identified" in identified.get_title()
    assert list(accuracy.lines[0].get_xdata()) == [setting.local_epochs for setting in chosen]
    drawn = {line.get_label() for line in forgetting.lines} & {ORIGINAL, "ascent"}
    assert drawn == {ORIGINAL, "ascent"}
    assert "AUC" in membership.get_title()
    save_figure(figure, tmp_path / "levels")
    assert (tmp_path / "levels.svg").read_text().startswith("<?xml")
    assert (tmp_path / "levels.png").read_bytes()[:4] == b"\x89PNG"
