from dataclasses import replace

import pytest

from palimpsest.reproduce import Cell, Study
from palimpsest.reproduce.frontier import draw_frontier
from palimpsest.reproduce.recommendation import CHECKS
from palimpsest.reproduce.summary import Estimate, Summary


@pytest.mark.parametrize("lpips", [{}, {"lpips": Estimate(0.4, 0.38, 0.42)}])
def test_the_frontier_draws_leakage_soundness_and_accuracy(lpips: dict[str, Estimate]) -> None:
    one = Estimate(0.5, 0.4, 0.6)
    columns = {"linked": one, "accuracy": Estimate(0.617, None, None), **dict.fromkeys(CHECKS, one)}
    plain = Summary(
        Cell("none", "digits", {}), (1,), {"identification_top1": one, **lpips}, columns, {}, 5, 1.0
    )
    both = replace(plain, columns={**columns, "non-adaptive identified (top-1)": one})
    panels = draw_frontier(Study("study", "A title", "A source", list), [plain, both]).axes
    assert len(panels) == 2 + len(lpips)
    assert [label.get_text() for label in panels[0].get_yticklabels()] == ["none", "none"]
    marks = [sum(len(line.get_xdata()) == 1 for line in axes.lines) for axes in panels]
    assert marks == [2 * 2 + 1, *(2 for _ in lpips), 2 * len(CHECKS)]
    margin = panels[-1].child_axes[0]
    assert [label.get_text() for label in margin.get_yticklabels()] == ["61.7%", "61.7%"]
