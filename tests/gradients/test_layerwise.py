from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from palimpsest.gradients.dispatch import write_with_vmap
from palimpsest.gradients.layerwise import Layerwise

CLASSES = 3


def both(model: nn.Module, images: Tensor, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Gradients layer by layer, and of vmap(grad)."""
    labels = torch.randint(CLASSES, (len(images),), generator=torch.Generator().manual_seed(seed))
    layerwise = Layerwise(model.eval())
    assert layerwise.suits(images)
    shape = len(images), sum(parameter.numel() for parameter in model.parameters())
    fast, slow = (torch.full(shape, torch.nan, dtype=torch.float64) for _ in range(2))
    layerwise.write(images, labels, fast)
    write_with_vmap(model, images, labels, slow)
    return fast, slow


def assert_equal(fast: Tensor, slow: Tensor) -> None:
    assert ((fast - slow).norm(dim=1) <= 1e-10 * slow.norm(dim=1)).all()
    torch.testing.assert_close(fast, slow, rtol=1e-6, atol=1e-12)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def shaken(model: nn.Module) -> nn.Module:
    """The model with parameters and statistics that are all different, in float64."""
    generator = torch.Generator().manual_seed(1)
    model.double().eval()
    with torch.no_grad():
        for value in [*model.parameters(), *model.buffers()]:
            if value.is_floating_point():
                value.copy_(torch.rand(value.shape, generator=generator, dtype=value.dtype) + 0.2)
                value.sub_(0.7 if value.dim() > 1 else 0)
    return model


def pairs(numbers: st.SearchStrategy[int]) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(numbers, numbers)


@st.composite
def convolutions(draw: st.DrawFn) -> nn.Conv2d:
    groups = draw(st.sampled_from([1, 2, 4]))
    padding = draw(st.one_of(st.just("same"), pairs(st.integers(0, 2))))
    return nn.Conv2d(
        4,
        4 * draw(st.integers(1, 2)),
        # The library warns that it has to copy where an even kernel is padded to the same size.
        draw(pairs(st.sampled_from([1, 3]) if padding == "same" else st.integers(1, 3))),
        stride=(1, 1) if padding == "same" else draw(pairs(st.integers(1, 3))),
        padding=padding,
        dilation=draw(pairs(st.integers(1, 2))),
        groups=groups,
        bias=draw(st.booleans()),
        padding_mode=draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"])),
    )


@settings(max_examples=80, deadline=None)
@given(
    convolutions(),
    st.integers(1, 4),
    st.tuples(st.integers(5, 9), st.integers(5, 9)),
    st.booleans(),
    st.booleans(),
)
def test_convolutions(layer: nn.Conv2d, count: int, size: tuple[int, int], last: bool, as_one: bool) -> None:
    pooled = [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * layer.out_channels, CLASSES)]
    model = shaken(nn.Sequential(layer, nn.Tanh(), *pooled))
    images = noise(count, 4, *size)
    try:
        model(images)
    except RuntimeError:
        assume(False)
    if last:
        images = images.contiguous(memory_format=torch.channels_last)
    with pytest.MonkeyPatch.context() as patch:
        # Both ways to multiply, whichever would be taken for such a shape.
        patch.setattr("palimpsest.gradients.layer_rules.convolution._groups_are_faster", lambda *_: as_one)
        assert_equal(*both(model, images))


@pytest.mark.parametrize("width", [3, 16, 32])
def test_float32_takes_the_way_that_is_faster_for_the_shape(width: int) -> None:
    model = nn.Sequential(nn.Conv2d(width, 32, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.LazyLinear(CLASSES))
    images = noise(5, width, 12, 12).float()
    model(images)
    labels, size = torch.arange(5) % CLASSES, sum(parameter.numel() for parameter in model.parameters())
    fast, slow = torch.empty(5, size), torch.empty(5, size)
    Layerwise(model.eval()).write(images, labels, fast)
    write_with_vmap(model, images, labels, slow)
    torch.testing.assert_close(fast, slow, rtol=1e-4, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 4), st.integers(1, 2), st.booleans(), st.sampled_from([1, 3]))
def test_convolutions_of_lines_and_of_volumes(count: int, stride: int, bias: bool, dimensions: int) -> None:
    kind = nn.Conv1d if dimensions == 1 else nn.Conv3d
    layer = kind(2, 4, 3, stride=stride, padding=1, groups=2, bias=bias)
    model = nn.Sequential(layer, nn.Tanh(), nn.Flatten(), nn.LazyLinear(CLASSES)).double()
    images = noise(count, 2, *[5] * dimensions)
    model(images)
    assert_equal(*both(shaken(model), images))


NORMALISATIONS: dict[str, Callable[[], list[nn.Module]]] = {
    "batch": lambda: [nn.BatchNorm2d(4)],
    "group": lambda: [nn.GroupNorm(2, 4)],
    "layer": lambda: [nn.LayerNorm([6, 6])],
    "layer, whole": lambda: [nn.LayerNorm([4, 6, 6], bias=False)],
    "batch of features": lambda: [nn.Flatten(), nn.BatchNorm1d(144)],
    "batch of lines": lambda: [nn.Flatten(2), nn.BatchNorm1d(4)],
    "group of features": lambda: [nn.Flatten(), nn.GroupNorm(4, 144)],
    "layer of features": lambda: [nn.Flatten(), nn.LayerNorm(144)],
    "without parameters": lambda: [nn.BatchNorm2d(4, affine=False), nn.GroupNorm(2, 4, affine=False)],
}


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_normalisations(name: str) -> None:
    before = [nn.Conv2d(4, 4, 1), *NORMALISATIONS[name](), nn.Tanh()]
    model = nn.Sequential(*before, nn.Flatten(), nn.Linear(144, CLASSES))
    assert_equal(*both(shaken(model), noise(5, 4, 6, 6)))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(7,), (5, 7), (2, 3, 7)])
def test_linear_layers_of_any_shape(shape: tuple[int, ...], bias: bool) -> None:
    model = nn.Sequential(
        nn.Linear(7, 4, bias=bias), nn.Tanh(), nn.Flatten(), nn.LazyLinear(CLASSES)
    ).double()
    model(noise(1, *shape))
    assert_equal(*both(shaken(model), noise(6, *shape)))


@pytest.mark.parametrize("padding", [None, 2])
def test_embeddings(padding: int | None) -> None:
    model = nn.Sequential(nn.Embedding(9, 4, padding_idx=padding), nn.Flatten(), nn.Linear(24, CLASSES))
    tokens = torch.randint(9, (5, 6), generator=torch.Generator().manual_seed(0))
    assert_equal(*both(shaken(model), tokens))


class Glued(nn.Module):
    """Two layers, put together by a function."""

    def __init__(self, glue: Callable[["Glued", Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, CLASSES)
        self.glue = glue

    def forward(self, images: Tensor) -> Tensor:
        return self.last(self.glue(self, images))


def doubled_later(layer: nn.Module, inputs: Tensor) -> Tensor:
    return layer(inputs) + inputs.mul_(2)


READABLE: dict[str, Callable[[Glued, Tensor], Tensor]] = {
    "one after the other": lambda model, x: model.second(model.first(x).tanh()),
    "beside each other": lambda model, x: model.first(x).sin() * model.second(x).cos(),
    "around": lambda model, x: x + model.second(model.first(x).tanh()),
    "one is not used": lambda model, x: model.second(x),
    "overwritten outputs": lambda model, x: model.second(model.first(x).mul_(3).relu_()),
}
UNREADABLE: dict[str, Callable[[Glued, Tensor], Tensor]] = {
    "a layer twice": lambda model, x: model.first(model.first(x).tanh()),
    "a weight elsewhere": lambda model, x: F.linear(model.first(x).tanh(), model.first.weight.T),
    "a weight without its layer": lambda model, x: F.linear(x, model.second.weight),
    "the batch's mean": lambda model, x: model.second(model.first(x) - x.mean(0)),
    "the batch's greatest": lambda model, x: model.second(model.first(x) / x.abs().max().detach()),
    "chance": lambda model, x: F.dropout(model.first(x), 0.5),
    "overwritten inputs": lambda model, x: doubled_later(model.second, model.first(x) + 0),
}


@pytest.mark.parametrize("name", READABLE)
@pytest.mark.parametrize("frozen", [False, True])
def test_graphs_of_layers(name: str, frozen: bool) -> None:
    model = shaken(Glued(READABLE[name])).requires_grad_(not frozen)
    assert_equal(*both(model, noise(4, 6)))
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_layer_by_layer_is_noticed(name: str) -> None:
    assert not Layerwise(shaken(Glued(UNREADABLE[name]))).suits(noise(4, 6))


def test_samples_along_another_dimension_are_noticed() -> None:
    model = Glued(lambda model, x: model.first(torch.stack([x, x + 1])).mean(0))
    # Two samples, two places: their order can't be told by the shape.
    assert not Layerwise(shaken(model)).suits(noise(4, 6))


def test_unknown_layers_and_shared_parameters_are_refused() -> None:
    class Own(nn.Linear):
        """May compute anything."""

    assert not Layerwise(nn.Sequential(Own(6, CLASSES)).eval()).suits(torch.rand(2, 6))
    assert not Layerwise(nn.Sequential(nn.PReLU(), nn.Linear(6, CLASSES)).eval()).suits(torch.rand(2, 6))
    tied = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, CLASSES))
    tied[1].weight = tied[0].weight
    assert not Layerwise(tied.eval()).suits(torch.rand(2, 6))


def test_hooks_of_others_are_heeded_and_ours_removed() -> None:
    model = shaken(Glued(READABLE["one after the other"]))
    handle = model.first.register_forward_hook(lambda _, inputs, outputs: outputs.tanh() * 2)
    assert_equal(*both(model, noise(4, 6)))
    handle.remove()
    assert not any(module._forward_hooks for module in model.modules())


def test_a_pass_that_fails_leaves_no_hooks() -> None:
    model = shaken(Glued(READABLE["around"]))
    assert not Layerwise(model).suits(noise(4, 5))
    assert not any(module._forward_hooks for module in model.modules())
