import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from palimpsest.errors import ModelError
from palimpsest.gradients import (
    BatchGradient,
    gradient_differences,
    parameter_count,
    per_sample_gradients,
    set_trainable,
    trainable_parameters,
)
from palimpsest.gradients.dispatch import find_layerwise

GENERATOR = torch.Generator().manual_seed(5)
IMAGES = torch.rand(5, 1, 8, 8, generator=GENERATOR)
LABELS = torch.tensor([0, 1, 2, 1, 0])


class Adapter(nn.Module):
    """A frozen layer with a trainable low-rank branch, as LoRA has it."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.base = layer.requires_grad_(False)
        self.lora_A = nn.Linear(layer.in_features, 2, bias=False)
        self.lora_B = nn.Linear(2, layer.out_features, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.base(inputs) + self.lora_B(self.lora_A(inputs))


def network() -> nn.Sequential:
    torch.manual_seed(2)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        Adapter(nn.Linear(144, 6)),
        nn.ReLU(),
        nn.Linear(6, 3),
    )


FROZEN = {
    "adapter": ["*lora_*"],
    "adapter and head": ["*lora_*", "6.*"],
    "head": ["6.*"],
    "first layer": ["0.*"],
    "biases": ["*bias"],
    "all": ["*"],
}


def reference(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Correct, slow: one backward pass per sample, by autograd alone."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    rows = []
    for image, label in zip(images, labels, strict=True):
        loss = F.cross_entropy(model.eval()(image[None]), label[None])
        rows.append(torch.cat([part.flatten() for part in torch.autograd.grad(loss, parameters)]))
    return torch.stack(rows)


@pytest.mark.parametrize("patterns", FROZEN.values(), ids=FROZEN)
def test_gradients_are_those_of_the_trainable_parameters(patterns: list[str]) -> None:
    model = network()
    set_trainable(model, patterns)
    expected = reference(model, IMAGES, LABELS)
    assert parameter_count(model) == expected.shape[1]
    torch.testing.assert_close(per_sample_gradients(model, IMAGES, LABELS), expected, atol=1e-6, rtol=1e-4)
    other = network()
    other[6].weight.data.mul_(2)
    set_trainable(other, patterns)
    differences = gradient_differences(model, other, IMAGES, LABELS)
    torch.testing.assert_close(differences, expected - reference(other, IMAGES, LABELS), atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("patterns", FROZEN.values(), ids=FROZEN)
def test_batch_gradients_are_those_of_the_trainable_parameters(patterns: list[str]) -> None:
    model = network().double()
    set_trainable(model, patterns)
    expected = reference(model, IMAGES.double(), LABELS).mean(0)
    gradient, state = BatchGradient(model), dict(model.state_dict())
    targets = F.one_hot(LABELS, 3).double()
    torch.testing.assert_close(gradient(state, IMAGES.double(), targets), expected)
    batched = gradient.at(state, IMAGES[0].double())(IMAGES.double()[None], targets[None])
    torch.testing.assert_close(batched[0], expected)


def test_frozen_layers_need_no_rule_and_keep_the_fast_engine() -> None:
    model = network()
    set_trainable(model, ["*lora_*", "6.*"])
    assert find_layerwise(model.eval(), IMAGES[:2]) is not None
    set_trainable(model, ["*bias"])
    assert find_layerwise(model.eval(), IMAGES[:2]) is not None


def test_a_model_without_trainable_parameters_counts_whole() -> None:
    model = network().requires_grad_(False)
    assert list(trainable_parameters(model)) == [name for name, _ in model.named_parameters()]


def test_a_pattern_without_a_parameter_is_refused() -> None:
    model = network()
    before = [parameter.requires_grad for parameter in model.parameters()]
    with pytest.raises(ModelError, match=r"'classifier\.\*', which matches no parameter of Sequential"):
        set_trainable(model, ["6.*", "classifier.*"])
    assert [parameter.requires_grad for parameter in model.parameters()] == before


def test_models_that_train_other_parameters_have_no_difference() -> None:
    one, other = network(), network()
    set_trainable(one, ["6.*"])
    set_trainable(other, ["*"])
    with pytest.raises(ModelError, match="models differ"):
        gradient_differences(one, other, IMAGES, LABELS)
