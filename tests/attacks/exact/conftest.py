from dataclasses import dataclass, replace

import pytest
import torch
from tests.support.exact_cases import CLASSES, SHAPE, ExactCase, deep, exact_case
from torch import Tensor

from palimpsest.attacks import ModelsView
from palimpsest.attacks.exact.fit import Plan, fit_state
from palimpsest.attacks.exact.state import ExactState
from palimpsest.datasets import ImageSet
from palimpsest.oracles import ModelOracle

# Small enough to train within a second.
PLAN = Plan(
    networks=2,
    queries=2,
    horizontal_flip=True,
    width=8,
    blocks=0,
    epochs=2,
    batch_size=16,
    learning_rate=2e-3,
    precision="float32",
    kept_aside=6,
    device="cpu",
)


@dataclass(frozen=True)
class Fitted:
    """A fitted state, with the case whose proofs it solves."""

    case: ExactCase
    view: ModelsView
    state: ExactState
    kept: Tensor
    plan: Plan


@pytest.fixture(scope="package")
def fitted() -> Fitted:
    case = exact_case(deep, count=4)
    models = tuple(model.float() for model in case.models)
    images = torch.rand(60, *SHAPE, generator=torch.Generator().manual_seed(8))
    auxiliary = ImageSet("auxiliary", (images * 255).round() / 255, torch.arange(60) % CLASSES, CLASSES)
    oracle = ModelOracle(*models)
    view = ModelsView(
        case.proofs.float(),
        oracle,
        auxiliary,
        "cpu",
        2**30,
        architecture=models[0],
        original=models[0],
        unlearned=models[1],
    )
    trunk = replace(case.trunk, models=models)
    state, kept = fit_state(trunk, auxiliary, PLAN, generator=torch.Generator().manual_seed(0))
    return Fitted(replace(case, trunk=trunk), view, state, kept, PLAN)
