from typing import ClassVar

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from palimpsest.errors import ModelError, ResourceError
from palimpsest.gradients import (
    difference_chunks,
    gradient_chunks,
    gradient_differences,
    parameter_count,
    per_sample_gradients,
)
from palimpsest.progress import Callback, ProgressLine, with_callbacks


def flat_gradient(model: nn.Module, image: Tensor, label: Tensor) -> Tensor:
    """The obvious way: one backward pass for one sample."""
    model.eval()
    model.zero_grad()
    F.cross_entropy(model(image[None]), label[None]).backward()
    return torch.cat(
        [parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None]
    )


def convolutional(channels: int, width: int, *, norm: bool) -> nn.Module:
    layers = [
        nn.Conv2d(channels, width, 3, padding=1),
        nn.BatchNorm2d(width) if norm else nn.Identity(),
        nn.Tanh(),
    ]
    model = nn.Sequential(*layers, nn.AvgPool2d(2), nn.Flatten(), nn.LazyLinear(3))
    model(torch.zeros(2, channels, 6, 6))
    return model.double()


def drawn(count: int, channels: int, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(count, channels, 6, 6, generator=generator, dtype=torch.float64)
    return images, torch.randint(3, (count,), generator=generator)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 20), st.sampled_from([1, 3]), st.booleans())
def test_equals_one_backward_per_sample(count: int, channels: int, norm: bool) -> None:
    model = convolutional(channels, 4, norm=norm)
    images, labels = drawn(count, channels)
    slow = torch.stack(
        [flat_gradient(model, image, label) for image, label in zip(images, labels, strict=True)]
    )
    torch.testing.assert_close(per_sample_gradients(model, images, labels), slow, rtol=1e-9, atol=1e-12)


def test_columns_follow_named_parameters() -> None:
    model = convolutional(1, 2, norm=False)
    images, labels = drawn(1, 1)
    row = per_sample_gradients(model, images, labels)[0]
    flat_gradient(model, images[0], labels[0])
    start = 0
    for _, parameter in model.named_parameters():
        assert parameter.grad is not None
        part = row[start : start + parameter.numel()].view_as(parameter)
        torch.testing.assert_close(part, parameter.grad)
        start += parameter.numel()
    assert start == parameter_count(model) == len(row)


def test_differences_are_of_the_two_models_gradients() -> None:
    original, unlearned = convolutional(3, 4, norm=True), convolutional(3, 4, norm=True)
    images, labels = drawn(7, 3)
    expected = per_sample_gradients(original, images, labels) - per_sample_gradients(
        unlearned, images, labels
    )
    assert torch.equal(gradient_differences(original, unlearned, images, labels), expected)
    assert gradient_differences(original, original, images, labels).abs().max() == 0


def test_chunks_follow_the_memory_budget_and_do_not_change_the_result() -> None:
    model = convolutional(3, 4, norm=False)
    images, labels = drawn(9, 3)
    budget = 4 * 4 * parameter_count(model) * 2
    chunks = list(gradient_chunks(model, images, labels, memory_budget=budget))
    assert [len(chunk) for chunk in chunks] == [2, 2, 2, 2, 1]
    torch.testing.assert_close(
        torch.cat(chunks), per_sample_gradients(model, images, labels), rtol=1e-9, atol=1e-12
    )


def test_chunks_that_a_caller_keeps_are_not_overwritten_by_later_ones() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 36, 20_000), nn.Tanh(), nn.Linear(20_000, 3)).float()
    images, labels = (values.float() if values.is_floating_point() else values for values in drawn(16, 3))
    dimension = parameter_count(model)
    # Chunks of four samples, whose memory is pooled.
    assert 4 * 4 * dimension >= 2**25
    for chunks in (
        gradient_chunks(model, images, labels, memory_budget=4 * 4 * 4 * dimension),
        difference_chunks(model, model, images, labels, memory_budget=4 * 4 * 4 * dimension),
    ):
        kept, copies = [], []
        for number, chunk in enumerate(chunks):
            assert len(chunk) == 4
            kept.append(chunk if number % 2 else chunk[1:])
            copies.append(kept[-1].clone())
        assert len(kept) == 4
        assert all(torch.equal(one, copy) for one, copy in zip(kept, copies, strict=True))


def test_a_budget_below_one_gradient_is_refused() -> None:
    images, labels = drawn(1, 3)
    with pytest.raises(ResourceError, match="raise --memory-budget"):
        per_sample_gradients(convolutional(3, 4, norm=False), images, labels, memory_budget=100)


def test_modes_parameters_and_buffers_are_left_as_they_were() -> None:
    model = convolutional(3, 4, norm=True)
    model[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    per_sample_gradients(model, *drawn(4, 3))
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_dropout_is_off_so_that_a_proof_is_the_same_twice() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(3 * 36, 3)).double()
    images, labels = drawn(4, 3)
    assert torch.equal(
        per_sample_gradients(model, images, labels), per_sample_gradients(model, images, labels)
    )


def test_models_of_different_shapes_are_refused_by_name() -> None:
    images, labels = drawn(2, 3)
    with pytest.raises(ModelError, match="has shape"):
        next(
            difference_chunks(
                convolutional(3, 4, norm=False), convolutional(3, 5, norm=False), images, labels
            )
        )


def test_an_input_that_does_not_fit_is_one_sentence() -> None:
    images, labels = drawn(2, 1)
    with pytest.raises(ModelError, match="check the input shape"):
        per_sample_gradients(convolutional(3, 4, norm=False), images, labels)


def test_no_samples_give_no_rows() -> None:
    model = convolutional(3, 4, norm=False)
    images, labels = drawn(0, 3)
    assert per_sample_gradients(model, images, labels).shape == (0, parameter_count(model))


class Attending(nn.Module):
    """Each row of an image is a token."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.embedding, self.head = nn.Linear(6, 16), nn.Linear(16, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.encoder(self.embedding(images[:, 0])).mean(dim=1))


def test_attention_is_batched_and_equals_one_backward_per_sample() -> None:
    # Warnings are errors here: of a kernel that goes sample by sample torch warns.
    model = Attending().double().eval()
    images, labels = drawn(5, 1)
    slow = torch.stack(
        [flat_gradient(model, image, label) for image, label in zip(images, labels, strict=True)]
    )
    torch.testing.assert_close(per_sample_gradients(model, images, labels), slow, rtol=1e-9, atol=1e-12)


def test_whoever_watches_is_told_how_far_they_are() -> None:
    class Seen(Callback):
        done: ClassVar[list[int]] = []

        def on_step(self, line: ProgressLine) -> None:
            self.done.append(line.done)
            assert line.total == 300

    images, labels = drawn(300, 1)
    with with_callbacks(Seen()):
        per_sample_gradients(convolutional(1, 2, norm=False), images, labels)
    assert Seen.done == sorted(Seen.done)
    assert len(Seen.done) > 1
    assert Seen.done[-1] == 300
