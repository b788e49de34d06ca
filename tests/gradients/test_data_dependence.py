from collections.abc import Callable
from contextlib import suppress

import pytest
import torch
from torch import Tensor, nn

from palimpsest.gradients.data_dependence import DataDependence, DataDependenceError, reads_values

READING: dict[str, Callable[[Tensor], object]] = {
    "item": lambda rows: rows[0].item(),
    "branch": lambda rows: rows + 1 if rows.sum() > 0 else rows,
    "mask": lambda rows: rows[rows > 0],
    "nonzero": lambda rows: (rows > 0).nonzero(),
    "unique": lambda rows: rows.unique(),
    "equal": lambda rows: torch.equal(rows, rows + 1),
}
OTHERS: dict[str, Callable[[Tensor], object]] = {
    "where": lambda rows: torch.where(rows > 0, rows, 0),
    "gather": lambda rows: rows[torch.tensor([1, 0])],
    "slice": lambda rows: rows[1:].relu().sum(),
}


@pytest.mark.parametrize("name", READING)
def test_finds_what_depends_on_values(name: str) -> None:
    dependence = DataDependence()
    with pytest.raises(DataDependenceError), dependence:
        READING[name](torch.rand(3))
    assert dependence.found


@pytest.mark.parametrize("name", OTHERS)
def test_finds_nothing_else(name: str) -> None:
    with DataDependence() as dependence:
        OTHERS[name](torch.rand(3))
    assert not dependence.found


def test_a_pause_hides_what_depends_on_values_also_within_another_pause() -> None:
    dependence = DataDependence()
    with dependence:
        with dependence.paused():
            torch.ones(1).item()
            with dependence.paused():
                torch.ones(1).item()
            torch.ones(1).item()
        assert not dependence.found
        with pytest.raises(DataDependenceError):
            torch.ones(1).item()
    assert dependence.found


def test_is_found_also_where_the_computation_catches_the_error() -> None:
    with DataDependence() as dependence, suppress(Exception):
        torch.ones(1).item()
    assert dependence.found


@pytest.mark.parametrize("name", [*READING, *OTHERS])
def test_a_model_reads_values_where_its_forward_pass_does(name: str) -> None:
    class Model(nn.Module):
        def forward(self, rows: Tensor) -> object:
            return (READING | OTHERS)[name](rows)

    assert reads_values(Model(), torch.rand(3)) == (name in READING)


def test_a_model_that_fails_reads_no_values() -> None:
    assert not reads_values(nn.Linear(3, 2), torch.rand(1, 5))
