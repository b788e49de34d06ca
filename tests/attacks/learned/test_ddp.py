from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from palimpsest.attacks.learned.ddp import train_ddp
from palimpsest.attacks.learned.image_training import ImagePairs, TrainingPlan, train_inverter
from palimpsest.attacks.learned.inverter import MlpInverter
from palimpsest.errors import DivergenceError, ResourceError
from palimpsest.progress import Callback, ProgressLine, with_callbacks

PLAN = TrainingPlan(
    epochs=2,
    batch_size=8,
    learning_rate=1e-3,
    schedule="one-cycle",
    beta=0.0,
    perceptual_batch=None,
    precision="float32",
    device="cpu",
)


def network() -> MlpInverter:
    torch.manual_seed(1)
    return MlpInverter(6, (1, 2, 2), hidden=16)


def pairs(count: int) -> ImagePairs:
    features = torch.rand(count, 6, generator=torch.Generator().manual_seed(0))
    images = (features[:, :4] * 255).round().to(torch.uint8).view(-1, 1, 2, 2)
    return ImagePairs(features, images, torch.arange(count))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


class Recorder(Callback):
    """Callback that records the values of a progress line."""

    def __init__(self) -> None:
        self.values: list[Mapping[str, float]] = []

    def on_step(self, line: ProgressLine) -> None:
        self.values.append(dict(line.values))


def test_two_processes_train_like_one() -> None:
    """Without batch norm and dropout, the mean of both halves' gradients equals the step's gradient up to rounding."""
    distributed, single, data = network(), network(), pairs(32)
    recorder = Recorder()
    with with_callbacks(recorder):
        history = train_ddp(
            distributed, lambda _: data, pairs(6), None, PLAN, devices=2, generator=generator()
        )
    seed = int(torch.randint(2**62, (), generator=generator()))
    expected = train_inverter(
        single, lambda _: data, pairs(6), None, PLAN, generator=torch.Generator().manual_seed(seed)
    )
    weights: dict[str, Tensor] = single.state_dict()
    for name, weight in distributed.state_dict().items():
        torch.testing.assert_close(weight, weights[name], rtol=1e-4, atol=1e-5)
    assert history["training_loss"] == pytest.approx(expected["training_loss"], rel=1e-4)
    assert history["validation_mse"] == pytest.approx(expected["validation_mse"], rel=1e-4)
    assert not distributed.training
    assert [values["loss"] for values in recorder.values if values] == history["training_loss"]


def test_a_loss_that_is_not_finite_stops_all_processes() -> None:
    data = pairs(32)
    data.features[3] = torch.nan
    with pytest.raises(DivergenceError, match=r"attack\.learning_rate"):
        train_ddp(network(), lambda _: data, pairs(6), None, PLAN, devices=2, generator=generator())


def test_rejects_more_devices_than_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    plan = TrainingPlan(**{**vars(PLAN), "device": "cuda"})
    with pytest.raises(ResourceError, match=r"this machine has 1 GPU\(s\)"):
        train_ddp(network(), lambda _: pairs(8), pairs(2), None, plan, devices=2, generator=generator())
