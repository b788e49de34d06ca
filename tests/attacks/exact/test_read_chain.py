"""Which layers a chain has, and what it says about those that it can't solve."""

import pytest
import torch
from tests.support.exact_cases import SHAPE, exact_case
from torch import Tensor, nn
from torch.testing import assert_close

from palimpsest.attacks.exact.read_chain import read_chain
from palimpsest.errors import KnowledgeError
from palimpsest.models import ConvNet, LeNet, ResNet20


class Skipping(nn.Module):
    """Network with a skip connection, then a block that can be solved."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 2, 3, padding=1)
        self.second = nn.Conv2d(2, 4, 3, padding=1)
        self.last = nn.Linear(16, 3)

    def forward(self, images: Tensor) -> Tensor:
        sums = torch.relu(images + self.first(images))
        return self.last(nn.functional.max_pool2d(self.second(sums), 2).relu().flatten(1))


class Modules(Skipping):
    """The same with its pooling as a module."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(2)

    def forward(self, images: Tensor) -> Tensor:
        sums = torch.relu(images + self.first(images))
        return self.last(torch.flatten(self.pool(torch.relu(self.second(sums))), 1))


def twice(build) -> tuple[nn.Module, nn.Module]:
    return build().eval(), build().eval()


@pytest.mark.parametrize("model", [ConvNet(width=2), LeNet(), LeNet(activation="relu")])
def test_built_in_chains_begin_at_the_image(model) -> None:
    chain, _ = read_chain(*twice(lambda: model((1, 8, 8), 4)), (1, 8, 8))
    assert len(chain.blocks) == 3
    assert not chain.limit
    assert chain.layers[0] == chain.name


def test_a_skip_connection_ends_the_chain() -> None:
    models = twice(Modules)
    chain, trunk = read_chain(*models, SHAPE)
    assert [block.name for block in chain.blocks] == ["second"]
    assert "not a convolution" in chain.limit or "joins" in chain.limit
    images = torch.rand(3, *SHAPE)
    expected = [torch.relu(images + model.first(images)) for model in models]
    levels = trunk.levels(images)
    assert_close(levels[0], torch.stack(expected, 1).detach())
    assert chain.entry == "relu"
    logits = torch.einsum("mcw,nmw->nmc", chain.weight.float(), levels[1].flatten(2)) + chain.bias.float()
    assert_close(logits, torch.stack([model(images) for model in models], 1).detach())


def test_resnet_keeps_its_last_layer() -> None:
    model = ResNet20()
    chain, trunk = read_chain(*twice(lambda: model((3, 8, 8), 4)), (3, 8, 8))
    assert chain.blocks == ()
    assert chain.limit
    assert trunk.levels(torch.rand(2, 3, 8, 8))[-1].shape == (2, 2, chain.weight.shape[2])


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ([nn.Conv2d(2, 2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 1)], "overlap"),
        ([nn.Conv2d(2, 2, 3, padding=1), nn.GELU()], "not a convolution"),
        ([nn.Conv2d(2, 2, 3, padding=1, groups=2), nn.ReLU()], "grouped"),
        ([nn.Conv2d(2, 2, 3, padding=1), nn.Sigmoid(), nn.AvgPool2d(2)], "not linear"),
        ([nn.Conv2d(2, 2, 3, padding=1), nn.ReLU(), nn.ReLU()], "another activation"),
    ],
)
def test_reasons(layers: list[nn.Module], reason: str) -> None:
    body = nn.Sequential(*layers, nn.Flatten())
    width = body(torch.zeros(1, *SHAPE)).shape[1]
    model = nn.Sequential(*body, nn.Linear(width, 3))
    chain, _ = read_chain(model, model, SHAPE)
    assert reason in chain.limit
    assert chain.blocks == ()


def test_a_frozen_layer_has_no_equations() -> None:
    case = exact_case()
    case.models[0][0].requires_grad_(False)  # type: ignore[index]
    chain, _ = read_chain(*case.models, SHAPE)
    assert "frozen" in chain.limit
    assert chain.dimension == 24 * 3 + 3


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Flatten(), nn.Linear(32, 3)),
        nn.Sequential(nn.Flatten(), nn.Linear(32, 4), nn.ReLU(), nn.Linear(4, 3, bias=False)),
        nn.Sequential(nn.Conv2d(2, 3, 4), nn.Flatten()),
    ],
)
def test_models_without_anything_to_start_from(model: nn.Module) -> None:
    with pytest.raises(KnowledgeError, match="Choose"):
        read_chain(model, model, SHAPE)


def test_a_forward_pass_that_depends_on_values() -> None:
    class Branching(Modules):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images if images.sum() > 0 else -images)

    with pytest.raises(KnowledgeError, match="can't be traced"):
        read_chain(*twice(Branching), SHAPE)
