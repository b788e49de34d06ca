import pytest
import torch
from tests.support.layer_gradients import (
    CLASSES,
    SequenceClassifier,
    assert_layerwise_equals_autograd,
    noise,
    padded_tokens,
    shaken,
)
from torch import Tensor, nn

from palimpsest.gradients.layer_uses import observe
from palimpsest.gradients.layerwise import Layerwise, layers_of


class InitialState(nn.Module):
    """The first features of a sample are the initial states of the layer that reads the others."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.states, self.layer, self.head = (
            nn.Linear(4, 5),
            getattr(nn, kind)(4, 5, batch_first=True),
            nn.Linear(5, CLASSES),
        )

    def forward(self, rows: Tensor) -> Tensor:
        state = self.states(rows[:, 0])[None]
        outputs, last = self.layer(
            rows[:, 1:], (state, state.sin()) if isinstance(self.layer, nn.LSTM) else state
        )
        outputs.mul_(2)  # after the layer, a network may change its outputs in place
        return self.head(outputs[:, -1] + (last[1][0] if isinstance(last, tuple) else last[0]))


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_initial_states_may_depend_on_the_sample(kind: str) -> None:
    assert_layerwise_equals_autograd(shaken(InitialState(kind)), noise(5, 6, 4))


def test_outputs_and_last_states_equal_the_layers_own() -> None:
    model = shaken(SequenceClassifier(nn.LSTM(4, 5, 2, bidirectional=True), packed=True))
    expected = model(padded_tokens())
    layers = layers_of(model, dict(model.named_parameters()))
    with observe(layers, lambda use: use.values):
        found = model(padded_tokens())
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_frozen_biases_have_no_gradients() -> None:
    model = SequenceClassifier(nn.LSTM(4, 5, 2, batch_first=True))
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("bias" not in name)
    assert_layerwise_equals_autograd(shaken(model), padded_tokens())


class SamplesAsSteps(nn.Module):
    """A mistake: the layer takes the samples of a batch for the steps of one sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.GRU(4, 5), nn.Linear(5, CLASSES)

    def forward(self, rows: Tensor) -> Tensor:
        return self.head(self.layer(rows)[0].mean(1))


def test_a_layer_that_mixes_samples_is_not_supported() -> None:
    assert not Layerwise(shaken(SamplesAsSteps())).supports(noise(2, 2, 4))
    assert not Layerwise(shaken(SamplesAsSteps())).supports(noise(2, 3, 4))
