from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from palimpsest.attacks.matching.label_inference import (
    INFERRING,
    LabelMode,
    believed_labels,
    bias_difference_rule,
    count_rule,
    last_layer,
    lost_share_rule,
    sign_rule,
)
from palimpsest.config import ModelConfig
from palimpsest.errors import ModelError
from palimpsest.gradients import BatchGradient, gradient_differences
from palimpsest.models import build_model

SHAPE = (3, 8, 8)


def network(name: str, seed: int = 0, **settings: Any) -> nn.Module:
    return build_model(ModelConfig(name=name, **settings), shape=SHAPE, classes=10, seed=seed).eval()


NETWORKS = [
    ("lenet", {"initialization": "uniform"}),
    ("lenet", {"activation": "tanh"}),
    ("convnet", {"width": 4}),
    ("resnet20", {"width": 2}),
]


@pytest.mark.parametrize(("name", "settings"), NETWORKS)
def test_infers_the_label_of_a_single_sample_exactly(name: str, settings: dict[str, Any]) -> None:
    model = network(name, **settings)
    images = torch.rand(30, *SHAPE, generator=torch.Generator().manual_seed(0))
    gradient, layer = BatchGradient(model), last_layer(model)
    for row, image in enumerate(images):
        label = row % 10
        found = gradient(dict(model.state_dict()), image[None], F.one_hot(torch.tensor([label]), 10).float())
        assert count_rule(found[layer.bias], 1, torch.full((10,), 0.1)).tolist() == [label]
        assert sign_rule(layer.weights_of(found)).tolist() == [label]


def test_classes_with_negative_entries_are_present() -> None:
    model = network("lenet", initialization="uniform")
    gradient, bias = BatchGradient(model), last_layer(model).bias
    generator = torch.Generator().manual_seed(0)
    correct = 0
    for _ in range(20):
        images = torch.rand(6, *SHAPE, generator=generator)
        labels = torch.randint(10, (6,), generator=generator)
        found = gradient(dict(model.state_dict()), images, F.one_hot(labels, 10).float())[bias]
        assert set((found < 0).nonzero().flatten().tolist()) <= set(labels.tolist())
        with torch.no_grad():
            expected = model(torch.rand(100, *SHAPE, generator=generator)).softmax(dim=1).mean(dim=0)
        inferred = count_rule(found, 6, expected)
        assert len(inferred) == 6
        correct += int(inferred.bincount(minlength=10).minimum(labels.bincount(minlength=10)).sum())
    assert correct / 120 > 0.9


def test_lost_confidence_reveals_the_label_of_a_proof() -> None:
    model, generator = network("lenet", activation="relu"), torch.Generator().manual_seed(0)
    images, labels = torch.rand(40, *SHAPE, generator=generator), torch.arange(40) % 10
    trained = network("lenet", activation="relu")
    optimizer = torch.optim.SGD(trained.parameters(), lr=0.2)
    for _ in range(400):
        optimizer.zero_grad()
        F.cross_entropy(trained(images), labels).backward()
        optimizer.step()
    proofs = gradient_differences(trained, model, images, labels)
    with torch.no_grad():
        assert float((trained(images).argmax(dim=1) == labels).float().mean()) > 0.9
    bias = proofs[:, last_layer(model).bias]
    assert float((bias_difference_rule(bias) == labels).float().mean()) > 0.9
    assert float((bias.argmin(dim=1) == labels).float().mean()) < 0.2


@pytest.mark.parametrize("mode", [mode for mode in INFERRING if mode != "probed"])
def test_known_and_inferred_labels_agree_on_single_samples(world: Any, mode: LabelMode) -> None:
    clients = world(retained=1, forgotten=1, moved=1e-4)
    generator = torch.Generator().manual_seed(0)
    known, inferred = (
        believed_labels(clients.view, label_mode, clients.view.observation.difference, generator=generator)
        for label_mode in ("known", mode)
    )
    assert known is not None
    assert inferred is not None
    assert torch.equal(known, inferred)
    assert believed_labels(clients.view, "optimized", torch.empty(0), generator=generator) is None


@pytest.mark.parametrize("mode", INFERRING)
def test_infers_one_label_for_each_sample(world: Any, mode: LabelMode) -> None:
    clients = world(retained=2, forgotten=6, batches=2)
    generator = torch.Generator().manual_seed(0)
    inferred = believed_labels(clients.view, mode, clients.view.observation.difference, generator=generator)
    assert inferred is not None
    assert inferred.shape == (2, 8)
    assert inferred.unique().tolist() <= [0, 1, 2, 3]


def test_lost_share_rule_ranks_classes_by_growth() -> None:
    assert lost_share_rule(torch.tensor([0.1, -0.2, 0.3]), 2).tolist() == [2, 0]
    assert lost_share_rule(torch.tensor([0.1, -0.2, 0.3]), 5).tolist() == [2, 0, 1, 2, 0]


def test_finds_the_last_layer() -> None:
    for model in (network("convnet", width=4), nn.Linear(5, 3)):
        layer, linear = last_layer(model), [m for m in model.modules() if isinstance(m, nn.Linear)][-1]
        flat = torch.cat([parameter.flatten() for parameter in model.parameters()])
        assert torch.equal(layer.weights_of(flat), linear.weight)
        assert torch.equal(flat[layer.bias], linear.bias)


def test_rejects_a_model_without_a_last_bias() -> None:
    for model in (nn.Conv2d(1, 1, 1), nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))):
        with pytest.raises(ModelError, match="labels known"):
            last_layer(model)
