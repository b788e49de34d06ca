"""Networks with a layer that is called with one row for all samples, as position embeddings are."""

from collections.abc import Callable

import torch
from tests.support.layer_gradients import CLASSES
from torch import Tensor, nn

WIDTH = 4


class SharedRow(nn.Module):
    """A layer reads one row of constants, and a function combines its outputs with the samples'."""

    def __init__(self, combine: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.combine = combine
        self.row, self.middle, self.last = (
            nn.Linear(3, WIDTH),
            nn.Linear(WIDTH, WIDTH),
            nn.Linear(WIDTH, CLASSES),
        )

    def forward(self, rows: Tensor) -> Tensor:
        constants = torch.linspace(-1, 1, 3, dtype=rows.dtype)[None]
        return self.last(self.combine(self.middle(rows.flatten(1)).tanh(), self.row(constants)).sin())


RIGHT: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "broadcast": lambda rows, row: rows + row,
    "squeezed": lambda rows, row: rows * row.squeeze(0),
    "expanded": lambda rows, row: rows + row.expand(len(rows), WIDTH),
    "transposed": lambda rows, row: rows * row.T.mT,
}
WRONG: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "first row": lambda rows, row: rows + row[0],
    "last row": lambda rows, row: rows + row[-1],
    "normalized first row": lambda rows, row: rows + row[0] - row[0].mean(),
    "sum over rows": lambda rows, row: rows + row.sum(0),
    "mean over rows": lambda rows, row: rows + row.mean(0),
    "number of rows": lambda rows, row: rows * len(row) + row,
    "reversed": lambda rows, row: rows + row.flip(0),
    "flattened": lambda rows, row: rows + row.flatten()[:WIDTH],
}
"""Combinations that would compute something else if each sample had a row of its own."""
