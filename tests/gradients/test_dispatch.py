import pytest
import torch
import torch.nn.functional as F
from tests.support.layer_gradients import CLASSES, assert_equal, noise, shaken
from torch import Tensor, nn

from palimpsest.errors import ModelError
from palimpsest.gradients import dispatch
from palimpsest.gradients.dispatch import find_layerwise, select_engine, write_with_vmap

MANY = 100
"""More samples than any engine is chosen for because they are few."""


class Unregistered(nn.Linear):
    """A subclass, for which no rule is registered."""


def supported() -> nn.Module:
    return shaken(nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, CLASSES)))


def unsupported() -> nn.Module:
    return shaken(nn.Sequential(Unregistered(6, 5), nn.Tanh(), nn.Linear(5, CLASSES)))


def max_pooling() -> nn.Module:
    layers = nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(18, CLASSES)
    return shaken(nn.Sequential(*layers))


def backward_per_sample(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Compute each sample's gradient by a separate backward pass (correct, slow)."""
    parameters = list(model.parameters())
    rows = [
        torch.autograd.grad(F.cross_entropy(model(images[i : i + 1]), labels[i : i + 1]), parameters)
        for i in range(len(images))
    ]
    return torch.stack([torch.cat([value.flatten() for value in row]) for row in rows])


def empty_gradients(model: nn.Module, count: int) -> Tensor:
    size = sum(parameter.numel() for parameter in model.parameters())
    return torch.full((count, size), torch.nan, dtype=torch.float64)


@pytest.mark.parametrize(
    ("model", "images", "layerwise"),
    [
        (supported(), noise(4, 6), True),
        (unsupported(), noise(4, 6), False),
        (max_pooling(), noise(4, 1, 8, 8), True),
    ],
    ids=["supported layers", "layer without a rule", "max pooling"],
)
def test_each_engine_writes_the_gradients_of_autograd(
    model: nn.Module, images: Tensor, layerwise: bool
) -> None:
    labels, out = torch.tensor([0, 1, 2, 1]), empty_gradients(model, 4)
    engine = select_engine(model, images, MANY)
    assert (find_layerwise(model, images) is not None) == layerwise
    assert engine.kind == ("layer by layer" if layerwise else "vmap")
    engine.write(images, labels, out)
    assert_equal(out, backward_per_sample(model, images, labels))


def test_max_pooling_uses_channels_last_on_a_cpu() -> None:
    found = find_layerwise(max_pooling(), noise(2, 1, 8, 8))
    assert found is not None
    assert found[1] is torch.channels_last
    without_pooling = find_layerwise(supported(), noise(2, 6))
    assert without_pooling is not None
    assert without_pooling[1] is torch.contiguous_format


@pytest.mark.parametrize("rows", [None, 1, 3, 100])
def test_chunks_do_not_change_the_gradients(rows: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "_CPU_CHUNK_ROWS", 2)
    model, images, labels = supported(), noise(7, 6), torch.arange(7) % CLASSES
    out = empty_gradients(model, 7)
    write_with_vmap(model, images, labels, out, chunk_rows=rows)
    assert_equal(out, backward_per_sample(model, images, labels))


def test_rejects_a_model_without_per_sample_gradients() -> None:
    model = nn.Sequential(nn.Linear(6, CLASSES)).double().eval()
    with pytest.raises(ModelError, match=r"Sequential has no per-sample gradient .* \(5,\).*Check the input"):
        write_with_vmap(model, noise(2, 5), torch.tensor([0, 1]), empty_gradients(model, 2))


class Recurrent(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 4)
        self.recurrent = getattr(nn, kind)(4, 5, num_layers=2, batch_first=True)
        self.head = nn.Linear(5, CLASSES)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.recurrent(self.embedding(tokens))[0][:, -1])


class Branching(nn.Module):
    """A branch that depends on the data, which vmap can't follow."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Unregistered(6, CLASSES), Unregistered(6, CLASSES)

    def forward(self, rows: Tensor) -> Tensor:
        return torch.stack([self.first(row) if row.sum() > 0 else self.second(row) for row in rows])


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("trainable", [True, False])
@pytest.mark.parametrize("count", [1, 8, MANY])
def test_recurrent_layers_have_autograds_gradients(kind: str, trainable: bool, count: int) -> None:
    model = Recurrent(kind).eval().requires_grad_(trainable)
    tokens, labels = torch.randint(0, 20, (6, 7)), torch.arange(6) % CLASSES
    out = torch.empty(6, sum(parameter.numel() for parameter in model.parameters()))
    select_engine(model, tokens[:2], count).write(tokens, labels, out)
    assert {parameter.requires_grad for parameter in model.parameters()} == {trainable}
    expected = backward_per_sample(model.requires_grad_(), tokens, labels)
    torch.testing.assert_close(out, expected)


@pytest.mark.parametrize("count", [1, 24, MANY])
def test_branches_that_depend_on_the_data_have_autograds_gradients(count: int) -> None:
    model = Branching().eval()
    rows, labels = torch.randn(8, 6), torch.arange(8) % CLASSES
    out = torch.empty(8, sum(parameter.numel() for parameter in model.parameters()))
    select_engine(model, rows[:2], count).write(rows, labels, out)
    parameters = list(model.parameters())
    for row, label, found in zip(rows, labels, out, strict=True):
        loss = F.cross_entropy(model(row[None]), label[None])
        expected = torch.autograd.grad(loss, parameters, materialize_grads=True)
        torch.testing.assert_close(found, torch.cat([value.flatten() for value in expected]))


@pytest.mark.parametrize(
    ("model", "rows", "limit", "otherwise"),
    [
        (supported(), noise(2, 6), 4, "layer by layer"),
        (unsupported(), noise(2, 6), 4, "vmap"),
        (Recurrent("LSTM").eval(), torch.ones(2, 7, dtype=torch.long), 8, "layer by layer"),
        (Recurrent("GRU").eval(), torch.ones(2, 7, dtype=torch.long), 4, "layer by layer"),
        (Branching().eval(), torch.randn(2, 6), 24, "vmap"),
    ],
    ids=["supported layers", "layer without a rule", "LSTM", "GRU", "branch on the data"],
)
def test_few_samples_have_one_backward_pass_each(
    model: nn.Module, rows: Tensor, limit: int, otherwise: str
) -> None:
    assert select_engine(model, rows, 1).kind == "backward per sample"
    assert select_engine(model, rows, limit).kind == "backward per sample"
    assert select_engine(model, rows, limit + 1).kind == otherwise


def test_few_samples_of_a_model_that_mixes_them_are_an_error() -> None:
    model = nn.Sequential(Unregistered(6, 5), nn.BatchNorm1d(5, track_running_stats=False)).double().eval()
    rows, labels = noise(2, 6), torch.tensor([0, 1])
    with pytest.raises(ModelError, match="no per-sample gradient"):
        select_engine(model, rows, 2).write(rows, labels, empty_gradients(model, 2))


def test_a_model_that_mixes_samples_has_no_gradients_sample_by_sample() -> None:
    model = nn.Sequential(
        Unregistered(6, 5), nn.BatchNorm1d(5, track_running_stats=False), nn.Linear(5, CLASSES)
    )
    assert not dispatch.mixes_no_samples(model.eval(), torch.randn(2, 6))
    assert dispatch.mixes_no_samples(unsupported().eval(), torch.randn(2, 6, dtype=torch.float64))


class MoreRows(nn.Module):
    """A layer gets two rows for each of more than two samples, so that the probe's two samples do not show it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(6, 5), nn.Linear(5, CLASSES)

    def forward(self, rows: Tensor) -> Tensor:
        doubled = torch.cat([rows, rows]) if len(rows) > 2 else rows
        return self.last(self.first(doubled).tanh()[: len(rows)])


def test_an_unexpected_number_of_rows_falls_back_to_autograds_gradients() -> None:
    model, rows, labels = shaken(MoreRows()), noise(5, 6), torch.arange(5) % CLASSES
    engine, out = select_engine(model, rows[:2], MANY), empty_gradients(model, 5)
    assert engine.kind == "layer by layer"
    engine.write(rows, labels, out)
    assert engine.kind == "backward per sample"
    assert_equal(out, backward_per_sample(model, rows, labels))


def test_a_model_that_vmap_can_not_follow_falls_back_to_autograds_gradients() -> None:
    model, rows, labels = Branching().double().eval(), noise(4, 6).abs_(), torch.arange(4) % CLASSES
    engine, out = select_engine(model, rows[:2], MANY), empty_gradients(model, 4)
    assert engine.kind == "vmap"
    engine.write(rows, labels, out)
    assert engine.kind == "backward per sample"
    first = sum(parameter.numel() for parameter in model.first.parameters())
    assert_equal(out[:, :first], backward_per_sample(model.first, rows, labels))
    assert (out[:, first:] == 0).all()


def test_a_model_that_vmap_can_not_follow_and_that_mixes_samples_is_an_error() -> None:
    model = nn.Sequential(Branching(), nn.BatchNorm1d(CLASSES, track_running_stats=False)).double().eval()
    engine = select_engine(model, noise(2, 6), MANY)
    with pytest.raises(ModelError, match="no per-sample gradient"):
        engine.write(noise(4, 6), torch.arange(4) % CLASSES, empty_gradients(model, 4))
