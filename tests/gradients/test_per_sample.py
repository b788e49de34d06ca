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


def reference_gradient(model: nn.Module, image: Tensor, label: Tensor) -> Tensor:
    """Compute one sample's gradient by one backward pass (correct, slow)."""
    model.eval()
    model.zero_grad()
    F.cross_entropy(model(image[None]), label[None]).backward()
    return torch.cat(
        [parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None]
    )


def small_convnet(channels: int, width: int, *, norm: bool) -> nn.Module:
    layers = [
        nn.Conv2d(channels, width, 3, padding=1),
        nn.BatchNorm2d(width) if norm else nn.Identity(),
        nn.Tanh(),
    ]
    model = nn.Sequential(*layers, nn.AvgPool2d(2), nn.Flatten(), nn.LazyLinear(3))
    model(torch.zeros(2, channels, 6, 6))
    return model.double()


def random_samples(count: int, channels: int, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(count, channels, 6, 6, generator=generator, dtype=torch.float64)
    return images, torch.randint(3, (count,), generator=generator)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 20), st.sampled_from([1, 3]), st.booleans())
def test_equals_one_backward_per_sample(count: int, channels: int, norm: bool) -> None:
    model = small_convnet(channels, 4, norm=norm)
    images, labels = random_samples(count, channels)
    expected = torch.stack(
        [reference_gradient(model, image, label) for image, label in zip(images, labels, strict=True)]
    )
    torch.testing.assert_close(per_sample_gradients(model, images, labels), expected, rtol=1e-9, atol=1e-12)


def test_columns_follow_named_parameters() -> None:
    model = small_convnet(1, 2, norm=False)
    images, labels = random_samples(1, 1)
    row = per_sample_gradients(model, images, labels)[0]
    reference_gradient(model, images[0], labels[0])
    start = 0
    for _, parameter in model.named_parameters():
        assert parameter.grad is not None
        part = row[start : start + parameter.numel()].view_as(parameter)
        torch.testing.assert_close(part, parameter.grad)
        start += parameter.numel()
    assert start == parameter_count(model) == len(row)


def test_differences_equal_subtracted_gradients() -> None:
    original, unlearned = small_convnet(3, 4, norm=True), small_convnet(3, 4, norm=True)
    images, labels = random_samples(7, 3)
    expected = per_sample_gradients(original, images, labels) - per_sample_gradients(
        unlearned, images, labels
    )
    assert torch.equal(gradient_differences(original, unlearned, images, labels), expected)
    assert gradient_differences(original, original, images, labels).abs().max() == 0


def test_chunks_follow_the_memory_budget_and_do_not_change_the_result() -> None:
    model = small_convnet(3, 4, norm=False)
    images, labels = random_samples(9, 3)
    budget = 4 * 4 * parameter_count(model) * 2
    chunks = list(gradient_chunks(model, images, labels, memory_budget=budget))
    assert [len(chunk) for chunk in chunks] == [2, 2, 2, 2, 1]
    torch.testing.assert_close(
        torch.cat(chunks), per_sample_gradients(model, images, labels), rtol=1e-9, atol=1e-12
    )


def test_chunks_kept_by_the_caller_are_not_overwritten() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 36, 20_000), nn.Tanh(), nn.Linear(20_000, 3)).float()
    images, labels = (
        values.float() if values.is_floating_point() else values for values in random_samples(16, 3)
    )
    dimension = parameter_count(model)
    # The memory of chunks of four samples is pooled.
    assert 4 * 4 * dimension >= 2**25
    for chunks in (
        gradient_chunks(model, images, labels, memory_budget=4 * 4 * 4 * dimension),
        difference_chunks(model, model, images, labels, memory_budget=4 * 4 * 4 * dimension),
    ):
        kept_chunks, copies = [], []
        for number, chunk in enumerate(chunks):
            assert len(chunk) == 4
            kept_chunks.append(chunk if number % 2 else chunk[1:])
            copies.append(kept_chunks[-1].clone())
        assert len(kept_chunks) == 4
        assert all(torch.equal(chunk, copy) for chunk, copy in zip(kept_chunks, copies, strict=True))


def test_rejects_a_budget_below_one_gradient() -> None:
    images, labels = random_samples(1, 3)
    with pytest.raises(ResourceError, match="Raise --memory-budget"):
        per_sample_gradients(small_convnet(3, 4, norm=False), images, labels, memory_budget=100)


def test_modes_parameters_and_buffers_are_unchanged() -> None:
    model = small_convnet(3, 4, norm=True)
    model[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    per_sample_gradients(model, *random_samples(4, 3))
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_dropout_is_off() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(3 * 36, 3)).double()
    images, labels = random_samples(4, 3)
    assert torch.equal(
        per_sample_gradients(model, images, labels), per_sample_gradients(model, images, labels)
    )


def test_rejects_models_of_different_shapes() -> None:
    images, labels = random_samples(2, 3)
    with pytest.raises(ModelError, match="has shape"):
        next(
            difference_chunks(
                small_convnet(3, 4, norm=False), small_convnet(3, 5, norm=False), images, labels
            )
        )


def test_rejects_images_of_the_wrong_shape() -> None:
    images, labels = random_samples(2, 1)
    with pytest.raises(ModelError, match="Check the input shape"):
        per_sample_gradients(small_convnet(3, 4, norm=False), images, labels)


def test_no_samples_give_no_rows() -> None:
    model = small_convnet(3, 4, norm=False)
    images, labels = random_samples(0, 3)
    assert per_sample_gradients(model, images, labels).shape == (0, parameter_count(model))


class RowTransformer(nn.Module):
    """Transformer encoder whose tokens are the rows of an image."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.embedding, self.last_linear = nn.Linear(6, 16), nn.Linear(16, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.last_linear(self.encoder(self.embedding(images[:, 0])).mean(dim=1))


def test_attention_is_batched_and_equals_one_backward_per_sample() -> None:
    # Warnings are errors in tests, and torch warns if a kernel runs sample by sample.
    model = RowTransformer().double().eval()
    images, labels = random_samples(5, 1)
    expected = torch.stack(
        [reference_gradient(model, image, label) for image, label in zip(images, labels, strict=True)]
    )
    torch.testing.assert_close(per_sample_gradients(model, images, labels), expected, rtol=1e-9, atol=1e-12)


def test_reports_progress() -> None:
    class Recorder(Callback):
        done: ClassVar[list[int]] = []

        def on_step(self, line: ProgressLine) -> None:
            self.done.append(line.done)
            assert line.total == 300

    images, labels = random_samples(300, 1)
    with with_callbacks(Recorder()):
        per_sample_gradients(small_convnet(1, 2, norm=False), images, labels)
    assert Recorder.done == sorted(Recorder.done)
    assert len(Recorder.done) > 1
    assert Recorder.done[-1] == 300
