"""Oracle that a configuration names as a function, and that counts the queried samples."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pytest
import torch
from tests.support.artifacts import Make, load
from torch import Tensor

from palimpsest.errors import OracleError
from palimpsest.oracles import ModelOracle


@dataclass
class CountingOracle:
    """Oracle that answers with the user's two models."""

    oracle: ModelOracle
    asked: list[int] = field(default_factory=list)
    """Number of samples in each query."""
    fail_after: int = 10**9
    """Number of samples after which the oracle fails."""
    source: str = "own_oracle:answers"
    """Value of `oracle.source` in a configuration."""

    def answers(self, images: Tensor, labels: Tensor) -> Tensor:
        """Answer a query; this is the function that the configuration names."""
        if sum(self.asked) >= self.fail_after:
            raise OracleError("The line is cut.")
        self.asked.append(len(images))
        return torch.cat(list(self.oracle.differences(images, labels)))


@pytest.fixture
def counting_oracle(case: Make, here: Path, monkeypatch: pytest.MonkeyPatch) -> CountingOracle:
    """Make the oracle, importable under the name of its `source`."""
    models = load(case(), here).models
    assert models is not None
    made, module = CountingOracle(ModelOracle(models.original, models.unlearned)), ModuleType("own_oracle")
    monkeypatch.setattr(module, "answers", made.answers, raising=False)
    monkeypatch.setitem(sys.modules, "own_oracle", module)
    return made
