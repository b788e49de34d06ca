from functools import partial

import pytest
import torch
import torch.nn.functional as F
from tests.support.layer_gradients import CLASSES, assert_equal, noise, shaken
from torch import Tensor, nn

from palimpsest.errors import ModelError
from palimpsest.gradients import dispatch
from palimpsest.gradients.dispatch import find_layerwise, select_engine, write_with_vmap


class Own(nn.Linear):
    """A layer that has no rule, since it may compute anything."""


def known() -> nn.Module:
    return shaken(nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, CLASSES)))


def unknown() -> nn.Module:
    return shaken(nn.Sequential(Own(6, 5), nn.Tanh(), nn.Linear(5, CLASSES)))


def pooled() -> nn.Module:
    layers = nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, CLASSES)
    return shaken(nn.Sequential(*layers))


def one_by_one(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Each sample's gradient by plain autograd."""
    parameters = list(model.parameters())
    rows = [
        torch.autograd.grad(F.cross_entropy(model(images[i : i + 1]), labels[i : i + 1]), parameters)
        for i in range(len(images))
    ]
    return torch.stack([torch.cat([value.flatten() for value in row]) for row in rows])


def empty(model: nn.Module, count: int) -> Tensor:
    size = sum(parameter.numel() for parameter in model.parameters())
    return torch.full((count, size), torch.nan, dtype=torch.float64)


@pytest.mark.parametrize(
    ("model", "images", "layerwise"),
    [
        (known(), noise(4, 6), True),
        (unknown(), noise(4, 6), False),
        (pooled(), noise(4, 1, 8, 8), True),
    ],
    ids=["known layers", "a layer without a rule", "max pooling"],
)
def test_each_engine_writes_the_gradients_of_autograd(
    model: nn.Module, images: Tensor, layerwise: bool
) -> None:
    labels, out = torch.tensor([0, 1, 2, 1]), empty(model, 4)
    engine = select_engine(model, images)
    assert (find_layerwise(model, images) is not None) == layerwise
    assert isinstance(engine, partial) == (not layerwise)
    engine(images, labels, out)
    assert_equal(out, one_by_one(model, images, labels))


def test_max_pooling_gets_channels_last_on_a_cpu() -> None:
    found = find_layerwise(pooled(), noise(2, 1, 8, 8))
    assert found is not None
    assert found[1] is torch.channels_last
    plain = find_layerwise(known(), noise(2, 6))
    assert plain is not None
    assert plain[1] is torch.contiguous_format


@pytest.mark.parametrize("rows", [None, 1, 3, 100])
def test_chunks_do_not_change_the_gradients(rows: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "_FASTEST", 2)
    model, images, labels = known(), noise(7, 6), torch.arange(7) % CLASSES
    out = empty(model, 7)
    write_with_vmap(model, images, labels, out, chunk_rows=rows)
    assert_equal(out, one_by_one(model, images, labels))


def test_a_model_without_per_sample_gradients_is_refused_with_a_remedy() -> None:
    model = nn.Sequential(nn.Linear(6, CLASSES)).double().eval()
    with pytest.raises(ModelError, match=r"Sequential has no per-sample gradient .* \(5,\).*check the input"):
        write_with_vmap(model, noise(2, 5), torch.tensor([0, 1]), empty(model, 2))
