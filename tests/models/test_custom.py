import pytest
import torch
from torch import nn

from palimpsest.errors import CheckpointError, ConfigurationError, ModelError
from palimpsest.gradients import per_sample_gradients
from palimpsest.models import as_classifier, bare, build_custom_model, count_classes, load_custom_model

SHAPE = (3, 8, 8)
SAMPLES = torch.rand(2, *SHAPE, generator=torch.Generator().manual_seed(0))


def small() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 4))


def test_calls_a_factory_and_keeps_the_random_state() -> None:
    before = torch.random.get_rng_state()
    model = build_custom_model(
        "torch.nn:Linear", {"in_features": 3, "out_features": 5}, shape=SHAPE, classes=1
    )
    assert isinstance(model, nn.Linear)
    assert not model.training
    assert torch.equal(before, torch.random.get_rng_state())


def test_finds_a_built_in_architecture_by_name() -> None:
    model = build_custom_model("convnet", {"width": 8}, shape=SHAPE, classes=4)
    assert count_classes(as_classifier(model, SAMPLES), SAMPLES) == 4


@pytest.mark.parametrize(
    ("name", "arguments", "error", "words"),
    [
        ("convent", {}, ConfigurationError, "convnet"),
        ("convnet", {"wdith": 8}, ConfigurationError, "width"),
        ("torch.nn:Linear", {"in_features": 3}, ConfigurationError, "out_features"),
        ("torch:zeros", {"size": (1,)}, ModelError, "Tensor, not an nn.Module"),
    ],
)
def test_rejects_a_name_or_arguments_that_build_no_network(
    name: str, arguments: dict[str, object], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        build_custom_model(name, arguments, shape=SHAPE, classes=4)


def test_normalization_adds_no_parameters() -> None:
    network = small()
    model = load_custom_model(small(), network.state_dict(), mean=[0.1, 0.2, 0.3], std=[0.5, 0.4, 0.3])
    images, labels = torch.rand(5, *SHAPE), torch.arange(5) % 4
    mean, std = torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1), torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)
    torch.testing.assert_close(model(images), network((images - mean) / std))
    torch.testing.assert_close(
        per_sample_gradients(model, images, labels),
        per_sample_gradients(network, (images - mean) / std, labels),
    )
    assert [name.removeprefix("network.") for name, _ in model.named_parameters()] == [
        name for name, _ in network.named_parameters()
    ]
    assert bare(model) is not model
    assert bare(network) is network


@pytest.mark.parametrize(("mean", "std"), [([0.1], None), ([0.1], [0.2, 0.3]), ([0.1], [0.0]), ([], [])])
def test_rejects_an_invalid_normalization(mean: list[float], std: list[float] | None) -> None:
    with pytest.raises(ConfigurationError, match="mean"):
        load_custom_model(small(), small().state_dict(), mean=mean, std=std)


def test_converts_to_float32_and_keeps_layers_frozen() -> None:
    model = small()
    model[1].bias.requires_grad_(False)  # type: ignore[index]
    loaded = load_custom_model(model, {name: value.half() for name, value in small().state_dict().items()})
    assert all(parameter.dtype == torch.float32 for parameter in loaded.parameters())
    assert [parameter.requires_grad for parameter in loaded.parameters()] == [True, False]


def test_a_seed_decides_the_initial_parameters() -> None:
    def weight(seed: int) -> torch.Tensor:
        arguments = {"in_features": 3, "out_features": 5}
        return build_custom_model("torch.nn:Linear", arguments, shape=SHAPE, classes=1, seed=seed).weight

    assert torch.equal(weight(1), weight(1))
    assert not torch.equal(weight(1), weight(2))


@pytest.mark.parametrize("count", [1, 5])
def test_classifies_the_users_own_samples(count: int) -> None:
    tokens = torch.randint(0, 7, (count, 4))
    network = nn.Sequential(nn.Embedding(7, 3), nn.Flatten(), nn.Linear(12, 1)).eval()
    classifier = as_classifier(network, tokens)
    assert classifier(tokens).shape == (count, 2)
    assert count_classes(classifier, tokens) == 2


def test_rejects_parameters_of_another_network() -> None:
    with pytest.raises(CheckpointError, match=r"1.weight"):
        load_custom_model(small(), {"0.weight": torch.zeros(1)})


class Pair(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return images, images


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(7, 4)), "can't take images"),
        (nn.Conv2d(3, 4, 3), "not .2, classes."),
        (Pair(), "tuple"),
        (nn.Sequential(nn.Flatten(), nn.Linear(192, 4), nn.RReLU().train()), "is random in evaluation mode"),
    ],
)
def test_rejects_a_model_that_returns_no_logits(model: nn.Module, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        as_classifier(model, SAMPLES)
