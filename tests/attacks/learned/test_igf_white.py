from dataclasses import fields

import pytest
import torch
from tests.support.attack_views import coarse_images
from torch import nn

from palimpsest.attacks import ArchitectView, AuditorView, IGFPlus, IGFWhite, Knowledge
from palimpsest.errors import KnowledgeError
from palimpsest.oracles import ModelOracle

QUICK = {
    "beta": 0,
    "matching": 0,
    "epochs": 10,
    "queries": 2,
    "batch_size": 64,
    "learning_rate": 5e-3,
    "width": 16,
    "components": 0,
}


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 12, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(192, 3),
    )


FORGOTTEN = coarse_images(40, seed=8, cells=6)


@pytest.fixture(scope="module")
def architect() -> ArchitectView:
    oracle = ModelOracle(network(1), network(2))
    proofs = torch.cat(list(oracle.differences(FORGOTTEN.images, FORGOTTEN.labels)))
    return ArchitectView(
        proofs, oracle, coarse_images(500, seed=9, cells=6), "cpu", 2**30, architecture=network(3).to("meta")
    )


def error(attack: IGFPlus, view: AuditorView) -> float:
    result = attack(view, generator=torch.Generator().manual_seed(0))
    return float((result.images - FORGOTTEN.images).square().mean())


def test_knowing_the_architecture_reduces_the_error(architect: ArchitectView) -> None:
    assert error(IGFWhite(**QUICK, patch_components=8), architect) < 0.95 * error(IGFPlus(**QUICK), architect)


def test_the_architecture_reveals_no_parameters(architect: ArchitectView) -> None:
    assert all(parameter.is_meta for parameter in architect.architecture.parameters())
    assert {field.name for field in fields(ArchitectView)} - {
        field.name for field in fields(AuditorView)
    } == {"architecture"}
    assert Knowledge.ARCHITECTURE in IGFWhite.knowledge
    assert Knowledge.PARAMETERS not in IGFWhite.knowledge
    assert IGFWhite.knowledge <= ArchitectView.knowledge


def test_rejects_a_view_without_the_architecture(architect: ArchitectView) -> None:
    gray_box = AuditorView(architect.proofs, architect.oracle, architect.auxiliary, "cpu", 2**30)
    with pytest.raises(KnowledgeError, match="ArchitectView"):
        IGFWhite(**QUICK)(gray_box, generator=torch.Generator())
