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


@settings(max_examples=20, deadline=None, derandomize=True)
@given(RECURRENT_SETTINGS, st.booleans(), st.booleans())
def test_equals_one_backward_per_sample(keys: dict[str, Any], packed: bool, states: bool) -> None:
    layer = nn.GRU(4, 5, **keys)
    model = shaken(SequenceClassifier(layer, packed=packed, states=states))
    assert_layerwise_equals_autograd(model, padded_tokens())
