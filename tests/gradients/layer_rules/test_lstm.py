from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.layer_gradients import (
    RECURRENT_SETTINGS,
    SequenceClassifier,
    assert_layerwise_equals_autograd,
    padded_tokens,
    shaken,
)
from torch import nn

from palimpsest.gradients.layer_rules import find_decomposition


@settings(max_examples=20, deadline=None, derandomize=True)
@given(RECURRENT_SETTINGS, st.booleans(), st.booleans())
def test_equals_one_backward_per_sample(keys: dict[str, Any], packed: bool, states: bool) -> None:
    layer = nn.LSTM(4, 5, **keys)
    model = shaken(SequenceClassifier(layer, packed=packed, states=states))
    assert_layerwise_equals_autograd(model, padded_tokens())


def test_an_lstm_with_a_projection_has_no_decomposition() -> None:
    assert find_decomposition(nn.LSTM(4, 5)) is not None
    assert find_decomposition(nn.LSTM(4, 5, proj_size=2)) is None
