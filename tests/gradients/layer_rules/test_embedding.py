import pytest
import torch
from tests.support.layer_gradients import CLASSES, assert_equal, both, shaken
from torch import nn

from palimpsest.gradients.layer_rules import find_per_sample_rule


@pytest.mark.parametrize("padding", [None, 2])
def test_per_sample_gradients(padding: int | None) -> None:
    model = nn.Sequential(nn.Embedding(9, 4, padding_idx=padding), nn.Flatten(), nn.Linear(24, CLASSES))
    tokens = torch.randint(9, (5, 6), generator=torch.Generator().manual_seed(0))
    assert_equal(*both(shaken(model), tokens))


def test_max_norm_and_frequency_scaling_have_no_rule() -> None:
    assert find_per_sample_rule(nn.Embedding(3, 2)) is not None
    assert find_per_sample_rule(nn.Embedding(3, 2, max_norm=1.0)) is None
    assert find_per_sample_rule(nn.Embedding(3, 2, scale_grad_by_freq=True)) is None
