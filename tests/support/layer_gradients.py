"""Comparison of layer-by-layer gradients with `vmap(grad)`, in float64."""

import gc
from functools import partial
from weakref import ref

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import vmap
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from palimpsest.gradients import BatchGradient, parameter_count, trainable_parameters
from palimpsest.gradients.batched import BatchedGradients
from palimpsest.gradients.dispatch import write_sample_by_sample, write_with_vmap
from palimpsest.gradients.layerwise import Layerwise
from palimpsest.gradients.reduced_engine import ReducedEngine
from palimpsest.reduction import FactoredProjection
from palimpsest.storage import Parameters

CLASSES = 3
BATCHES, SAMPLES = 3, 2


def parameters_of(model: nn.Module) -> Parameters:
    """Make another state dict of the model, with all values different."""
    return {
        name: 0.3 * noise(*value.shape, seed=place).abs_().add_(0.2) * (-1) ** place
        if name.endswith("running_mean")
        else 0.2 + 0.3 * noise(*value.shape, seed=place).abs_()
        if name.endswith(("running_var", "weight")) and value.dim() == 1
        else 0.4 * noise(*value.shape, seed=place)
        for place, (name, value) in enumerate(model.state_dict().items())
        if value.is_floating_point()
    }


def assert_batched_equal(model: nn.Module, *shape: int, fast: bool = True) -> None:
    """Assert that gradients, and derivatives of a function of them by images and targets, equal vmap(grad)'s."""
    model.double().eval()
    parameters = parameters_of(model)
    images, targets = noise(BATCHES, SAMPLES, *shape), noise(BATCHES, SAMPLES, CLASSES, seed=1).softmax(2)
    gradient = BatchGradient(model)
    batched = gradient.at(parameters, images[0, 0])
    assert isinstance(batched, BatchedGradients) == fast
    slow = vmap(partial(gradient, parameters))
    torch.testing.assert_close(batched(images, targets), slow(images, targets), rtol=1e-6, atol=1e-10)

    def derivatives(function: object) -> tuple[Tensor, ...]:
        unknowns = images.clone().requires_grad_(), targets.clone().requires_grad_()
        values = function(*unknowns)  # type: ignore[operator]
        return torch.autograd.grad((values.sin() * noise(*values.shape, seed=2)).sum(), unknowns)

    for actual, expected in zip(derivatives(batched), derivatives(slow), strict=True):
        assert float(expected.norm()) > 0
        assert (actual - expected).norm() <= 1e-6 * expected.norm()


def both(model: nn.Module, images: Tensor, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Compute gradients layer by layer, and with vmap(grad)."""
    labels = torch.randint(CLASSES, (len(images),), generator=torch.Generator().manual_seed(seed))
    layerwise = Layerwise(model.eval())
    assert layerwise.supports(images)
    slow = torch.full((len(images), parameter_count(model)), torch.nan, dtype=torch.float64)
    write_with_vmap(model, images, labels, slow)
    assert_factored_equals(layerwise, model, images, labels, slow)
    return write_and_free(layerwise, images, labels, slow.shape), slow


def assert_factored_equals(
    layerwise: Layerwise, model: nn.Module, samples: Tensor, labels: Tensor, gradients: Tensor
) -> None:
    """Assert that a projection of the layers' factors equals that of gradients that were computed otherwise."""
    shapes = [parameter.shape for parameter in trainable_parameters(model).values()]
    contiguous = samples.dim() != 4 or samples.is_contiguous()
    layout = torch.contiguous_format if contiguous else torch.channels_last
    for size in (3, 7):
        projection = FactoredProjection.draw(
            shapes, size * len(shapes), generator=torch.Generator().manual_seed(0)
        )
        result = gradients.new_zeros(len(samples), projection.components)
        ReducedEngine(layerwise, layout, None).add_to(result, samples, labels, projection, 1)
        expected = projection.transform(gradients)
        torch.testing.assert_close(result, expected, rtol=1e-6, atol=1e-9 * float(1 + expected.abs().max()))


def write_and_free(layerwise: Layerwise, samples: Tensor, labels: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Compute gradients layer by layer, and assert that nothing refers to their memory afterwards.

    An autograd hook can close a reference cycle that Python's garbage collector doesn't see, or breaks too late.
    """
    memory = np.full(shape, np.nan)
    lease = ref(memory)
    gc.disable()
    try:
        layerwise.write(samples, labels, torch.from_numpy(memory))
        gradients = torch.tensor(memory)
        del memory
        assert lease() is None
    finally:
        gc.enable()
    return gradients


def assert_equal(fast: Tensor, slow: Tensor) -> None:
    assert ((fast - slow).norm(dim=1) <= 1e-10 * slow.norm(dim=1)).all()
    torch.testing.assert_close(fast, slow, rtol=1e-6, atol=1e-12)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def shaken(model: nn.Module) -> nn.Module:
    """Give the model distinct parameters and statistics, in float64."""
    generator = torch.Generator().manual_seed(1)
    model.double().eval()
    with torch.no_grad():
        for value in [*model.parameters(), *model.buffers()]:
            if value.is_floating_point():
                value.copy_(torch.rand(value.shape, generator=generator, dtype=value.dtype) + 0.2)
                value.sub_(0.7 if value.dim() > 1 else 0)
    return model


def assert_layerwise_equals_autograd(model: nn.Module, samples: Tensor) -> None:
    """Assert that the layer-by-layer gradients of all trainable parameters equal one backward pass per sample's."""
    model.double().eval()
    labels = torch.arange(len(samples)) % CLASSES
    layerwise = Layerwise(model)
    assert layerwise.supports(samples)
    slow = torch.full((len(samples), parameter_count(model)), torch.nan).double()
    write_sample_by_sample(model, samples, labels, slow)
    assert_factored_equals(layerwise, model, samples, labels, slow)
    fast = write_and_free(layerwise, samples, labels, slow.shape)
    assert (slow.norm(dim=1) > 0).all()
    assert_equal(fast, slow)


class SequenceClassifier(nn.Module):
    """Tokens, a recurrent layer and a classifier of its outputs or its last states; token 0 pads a sequence."""

    def __init__(self, layer: nn.RNNBase, *, packed: bool = False, states: bool = False) -> None:
        super().__init__()
        self.layer, self.packed, self.states = layer, packed, states
        self.embedding = nn.Embedding(9, layer.input_size)
        width = (layer.proj_size or layer.hidden_size) * (1 + layer.bidirectional)
        self.head = nn.Linear(width * (layer.num_layers if states else 1), CLASSES)

    def forward(self, tokens: Tensor) -> Tensor:
        inputs, first = self.embedding(tokens), self.layer.batch_first
        inputs = inputs if first else inputs.transpose(0, 1)
        if self.packed:
            lengths = (tokens != 0).sum(1).cpu()
            inputs = pack_padded_sequence(inputs, lengths, batch_first=first, enforce_sorted=False)
        outputs, state = self.layer(inputs)
        if self.states:
            hidden = state[0] + state[1] if isinstance(state, tuple) else state
            return self.head(hidden.transpose(0, 1).flatten(1))
        if self.packed:
            outputs, _ = pad_packed_sequence(outputs, batch_first=first)
        outputs = outputs if first else outputs.transpose(0, 1)
        return self.head(outputs.sum(1).tanh())


def padded_tokens() -> Tensor:
    """Make sequences of different lengths `[6, 7]`, the first not the longest."""
    tokens = torch.randint(1, 9, (6, 7), generator=torch.Generator().manual_seed(0))
    return tokens * (torch.arange(7) < torch.tensor([[3], [7], [1], [5], [7], [2]]))


RECURRENT_SETTINGS = st.fixed_dictionaries(
    {
        "num_layers": st.integers(1, 3),
        "bidirectional": st.booleans(),
        "batch_first": st.booleans(),
        "bias": st.booleans(),
    }
)
"""Settings of recurrent layers."""
