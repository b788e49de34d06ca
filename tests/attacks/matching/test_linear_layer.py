from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from tests.support.attack_views import model_view, row_model, rows, seeded
from torch import nn

from palimpsest.attacks import LinearLayer
from palimpsest.errors import KnowledgeError


def test_reconstructs_rows_exactly() -> None:
    forgotten = rows(30, 1)
    result = LinearLayer()(model_view(row_model, forgotten, rows(50, 2)), generator=seeded())
    torch.testing.assert_close(result.images, forgotten.rows, rtol=1e-3, atol=1e-3)
    assert result.facts["rows_read"] == 1


def test_mean_row_replaces_rows_without_a_gradient() -> None:
    view = model_view(row_model, rows(3, 1), rows(50, 2))
    result = LinearLayer()(replace(view, proofs=torch.zeros_like(view.proofs)), generator=seeded())
    torch.testing.assert_close(result.images, view.auxiliary.inputs.mean(0).expand(3, -1))
    assert result.facts["rows_read"] == 0


def convolution() -> nn.Module:
    return nn.Sequential(nn.Unflatten(1, (4, 1)), nn.Conv1d(4, 2, 1), nn.Flatten())


@pytest.mark.parametrize("build", [lambda: nn.Linear(4, 2, bias=False), convolution])
def test_rejects_a_model_without_a_suitable_layer(build: Callable[[], nn.Module]) -> None:
    with pytest.raises(KnowledgeError, match="Choose igf-rows"):
        LinearLayer()(model_view(build, rows(3, 1), rows(9, 2)), generator=seeded())


def test_rejects_a_shortened_proof() -> None:
    view = model_view(row_model, rows(3, 1), rows(9, 2))
    with pytest.raises(KnowledgeError, match="fewer than the model"):
        LinearLayer()(replace(view, proofs=view.proofs[:, :6]), generator=seeded())
