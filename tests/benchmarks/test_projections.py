from pathlib import Path

import pytest
import torch
from benchmarks.projections import (
    ERROR_HEADER,
    FACTORED,
    MATERIALIZED,
    MEMORY_HEADER,
    ORDINARY,
    SPEED_HEADER,
    Row,
    cases,
    error_rows,
    errors,
    memory_rows,
    methods_of,
    moved,
    peak_of,
    speed_rows,
    write,
)

from palimpsest.gradients import gradient_differences, trainable_parameters
from palimpsest.reduction import FactoredProjection


def row() -> Row:
    rates = {FACTORED: 30.0, MATERIALIZED: 5.0, ORDINARY: 40.0, "vmap": 2.0}
    return Row("net", 1234, 100, rates, rates, {64: {FACTORED: 0.5, "count sketch": 0.25}})


def test_all_methods_compute_the_same_sketches() -> None:
    (case,) = cases(quick=True)
    models, labels = (case.network, moved(case.network)), torch.arange(4) % 3
    shapes = [parameter.shape for parameter in trainable_parameters(case.network).values()]
    sketch = FactoredProjection.draw(shapes, 100, generator=torch.Generator().manual_seed(0))
    methods = methods_of(models, case.samples, labels, sketch)
    found = {name: method() for name, method in methods.items()}
    assert found.pop(ORDINARY) is None
    for sketches in found.values():
        torch.testing.assert_close(sketches, found[FACTORED], rtol=1e-3, atol=1e-6)


def test_larger_sketches_have_smaller_errors() -> None:
    (case,) = cases(quick=True)
    vectors = gradient_differences(case.network, moved(case.network), case.samples, torch.arange(4) % 3)
    shapes = [parameter.shape for parameter in trainable_parameters(case.network).values()]
    found = errors(vectors, shapes, (30, 3000))
    for kind in (FACTORED, "count sketch", "dense Gaussian"):
        assert 0 < found[3000][kind] < found[30][kind]


def test_the_peak_of_a_call_includes_memory_that_it_frees() -> None:
    assert 60 < peak_of(lambda: torch.zeros(2**24).sum()) < 120


def test_the_page_has_a_row_for_each_network_and_size(tmp_path: Path) -> None:
    assert row().ratio == pytest.approx(0.75)
    assert [len(cells) for cells in speed_rows([row()])] == [len(SPEED_HEADER)]
    assert [len(cells) for cells in memory_rows([row()])] == [len(MEMORY_HEADER)]
    assert error_rows([row()]) == [["net", "64", 0.5, 0.25, "-"]]
    assert len(ERROR_HEADER) == 5
    write(tmp_path, [row()], repeats=3, machine="Measured here")
    page = (tmp_path / "projections.md").read_text()
    assert "| net | 1,234 | 100 | 30 | 5 | 40 | 2 | 0.75 |" in page
