"""An oracle that a case names as a function, and that counts the samples that it is asked about."""

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
    """Answers as the case's two models do."""

    oracle: ModelOracle
    asked: list[int] = field(default_factory=list)
    """The number of samples in each question."""
    fail_after: int = 10**9
    """The number of samples after which the oracle fails."""
    source: str = "own_oracle:answers"
    """What a case names as `oracle.source`."""

    def answers(self, images: Tensor, labels: Tensor) -> Tensor:
        """The function that the case names."""
        if sum(self.asked) >= self.fail_after:
            raise OracleError("The line is cut.")
        self.asked.append(len(images))
        return torch.cat(list(self.oracle.differences(images, labels)))


@pytest.fixture
def counting_oracle(case: Make, here: Path, monkeypatch: pytest.MonkeyPatch) -> CountingOracle:
    """The oracle, importable under the name of its `source`."""
    models = load(case(), here).models
    assert models is not None
    made, module = CountingOracle(ModelOracle(models.original, models.unlearned)), ModuleType("own_oracle")
    monkeypatch.setattr(module, "answers", made.answers, raising=False)
    monkeypatch.setitem(sys.modules, "own_oracle", module)
    return made
