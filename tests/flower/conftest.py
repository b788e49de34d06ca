import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

EXAMPLE = Path(__file__).parents[2] / "examples" / "flower-app"


@pytest.fixture
def identity() -> Iterator[None]:
    """Task identity that Flower needs to create messages."""
    from palimpsest.federation.flower_strategy import _task_identity

    with _task_identity():
        yield


@pytest.fixture
def example(identity: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Module `app.task` of the example. The example's modules are removed afterwards."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    import app.task  # pyright: ignore[reportMissingImports]

    yield app.task
    for name in [name for name in sys.modules if name == "app" or name.startswith("app.")]:
        del sys.modules[name]


@pytest.fixture
def parts(example: Any, tmp_path: Path) -> tuple[Any, Any, Path]:
    """Audited strategy, initial parameters and output folder."""
    from flwr.app import ArrayRecord
    from flwr.serverapp.strategy import FedAvg

    from palimpsest.flower import Audited

    torch.manual_seed(0)
    strategy = Audited(FedAvg(fraction_evaluate=0.0), tmp_path / "audit")
    return strategy, ArrayRecord(example.Net().state_dict()), tmp_path / "audit"
