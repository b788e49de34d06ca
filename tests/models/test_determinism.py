import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from palimpsest.errors import ModelError
from palimpsest.models.determinism import require_deterministic

SAMPLES = torch.randn(3, 10, generator=torch.Generator().manual_seed(1))


class Random(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.fc, self.kind, self.calls = nn.Linear(10, 3, bias=kind != "not a number"), kind, 0

    def forward(self, rows: Tensor) -> Tensor:
        self.calls += 1
        if self.kind == "dropout":
            rows = F.dropout(rows, 1e-6)
        elif self.kind == "branch" and torch.rand(()) < 1e-9:
            rows = -rows
        elif self.kind == "python":
            rows = rows * (1 + random.random())
        elif self.kind == "numpy":
            rows = rows + float(np.random.rand())
        elif self.kind == "calls":
            rows = rows * self.calls
        elif self.kind == "not a number" and self.calls % 2:
            rows = rows * torch.nan
        return self.fc(rows)


@pytest.mark.parametrize("kind", ["dropout", "branch", "python", "numpy", "calls", "not a number"])
def test_every_kind_of_randomness_is_found_always(kind: str) -> None:
    for _ in range(5):
        with pytest.raises(ModelError, match="Random is random in evaluation mode"):
            require_deterministic(Random(kind).eval(), SAMPLES if kind != "not a number" else 0 * SAMPLES)


def test_a_deterministic_network_passes_and_no_generator_moves() -> None:
    states = torch.get_rng_state(), random.getstate(), repr(np.random.get_state())
    network = nn.Sequential(nn.Linear(10, 4), nn.Dropout(0.5), nn.Linear(4, 2)).eval()
    torch.set_rng_state(states[0])
    require_deterministic(network, SAMPLES)
    require_deterministic(network, SAMPLES * torch.nan)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (random.getstate(), repr(np.random.get_state())) == states[1:]
