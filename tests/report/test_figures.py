import math
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from palimpsest.report import figures


def label(svg: str) -> str:
    return ElementTree.fromstring(svg).get("aria-label") or ""


def test_histogram_describes_its_values():
    drawn = figures.score_histogram("mse", torch.tensor([0.1, 0.2, 0.4]), {"mean image": 0.3})
    assert label(drawn.svg) == "Histogram of MSE over 3 images: median 0.2, from 0.1 to 0.4; mean image 0.3."
    assert "this attack" in drawn.svg


@pytest.mark.parametrize("values", [[math.inf, 20.0, 30.0], [5.0], [5.0] * 4, [math.inf]])
def test_histogram_accepts_any_values(values):
    drawn = figures.score_histogram("psnr", torch.tensor(values), {"mean image": math.nan})
    finite = sum(map(math.isfinite, values))
    assert f"over {finite} images" in label(drawn.svg)
    assert ("1 not finite left out" in drawn.svg) == (finite < len(values))


@pytest.mark.parametrize("values", [[1e-11, 3e-11], [0.0199, 0.0201], [0.02] * 3])
def test_nearly_equal_scores_stay_visible_beside_a_distant_baseline(values):
    edges = figures._edges(torch.tensor(values).double().numpy(), {"mean image": 0.08})
    assert edges[0] <= min(values)
    assert max(values) <= edges[-1]
    assert edges[1] - edges[0] > 0.0009


@given(
    st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=30),
    st.floats(-1e6, 1e6, width=32),
)
def test_bins_contain_every_value(values, mark):
    finite = torch.tensor(values).double().numpy()
    counts, _ = np.histogram(finite, bins=figures._edges(finite, {"mark": mark}))
    assert counts.sum() == len(values)
    assert len(counts) <= 34


def test_identification_curve_counts_ranks():
    drawn = figures.identification_curve(torch.tensor([1, 1, 3, 7, 2, 30] + [40] * 34))
    assert "5.0\N{NO-BREAK SPACE}% within 1" in label(drawn.svg)
    assert "10.0\N{NO-BREAK SPACE}% within 5" in label(drawn.svg)
    assert "within 100" not in label(drawn.svg)


def test_norm_histogram_shows_tau():
    assert "tau = 2.5" in figures.norm_histogram(torch.tensor([1.0, 2.0]), 2.5).svg


def test_losses_share_a_plot_and_other_series_do_not():
    curves = {"training_loss": [2.0, 1.0], "validation loss": [2.5, math.nan], "distance": [9.0], "empty": []}
    drawn = figures.training_curves(curves)
    assert len(drawn) == 2
    assert label(drawn[0].svg).startswith(
        "Curves over training: training loss from 2 to 1; validation loss from 2.5"
    )
    assert "distance" in drawn[1].svg


def test_empty_history_gives_no_plot():
    assert figures.training_curves({}) == []


def test_participation_marks_clients_that_forget():
    assert "clients that forget" in figures.participation_bars([3, 0, 5], {1}).svg
    assert "clients that forget" not in figures.participation_bars([3, 0, 5], {0, 1, 2}).svg
