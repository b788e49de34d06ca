from pathlib import Path

import matplotlib
import numpy as np

from palimpsest.report.drawing import drawing_settings, lay_out, new_figure, whole_numbers


def test_a_figure_has_its_size_and_no_overlaps() -> None:
    figure = new_figure(4.5, 2.0)
    assert tuple(figure.get_size_inches()) == (4.5, 2.0)
    assert type(figure.get_layout_engine()).__name__ == "ConstrainedLayoutEngine"


def test_a_figure_is_placed_as_on_saving_it(tmp_path: Path) -> None:
    placed, saved = (new_figure(4.5, 2.0) for _ in range(2))
    for figure in (placed, saved):
        figure.subplots().set_ylabel("a label that needs space")
    lay_out(placed)
    assert placed.get_layout_engine() is None
    placed.savefig(tmp_path / "placed.svg")
    saved.savefig(tmp_path / "saved.svg")
    (first,), (second,) = placed.axes, saved.axes
    assert np.allclose(first.get_position().bounds, second.get_position().bounds, atol=0.01)
    assert not np.allclose(
        first.get_position().bounds, new_figure(4.5, 2.0).subplots().get_position().bounds, atol=0.01
    )


def test_ticks_are_whole_numbers() -> None:
    for fewest in (1, 2):
        ticks = whole_numbers(min_n_ticks=fewest).tick_values(0.0, 1.4)
        assert len(ticks) >= fewest
        assert np.array_equal(ticks, np.round(ticks))
    assert matplotlib.ticker.MaxNLocator().tick_values(0.0, 1.4)[1] % 1 != 0


def test_settings_end_with_the_block() -> None:
    before = matplotlib.rcParams["font.size"]
    with drawing_settings({"font.size": before + 3}):
        assert matplotlib.rcParams["font.size"] == before + 3
    assert matplotlib.rcParams["font.size"] == before
