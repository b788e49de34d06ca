from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from palimpsest.config import ModelConfig
from palimpsest.datasets import FederatedData, ImageSet
from palimpsest.errors import UnlearningError
from palimpsest.federation import Observation, observe, snapshot
from palimpsest.models import build_model


def observed(
    data: FederatedData, lenet: ModelConfig, *, moved: float = 0.1, steps: int = 1
) -> tuple[Observation, ImageSet]:
    model = build_model(lenet, shape=data.train.shape, classes=3, seed=0)
    before = snapshot(model)
    after = {name: value + moved for name, value in before.items()}
    rows = torch.arange(12)
    observation = observe(
        model,
        before,
        after,
        data.train.subset(rows[:8]),
        data.train.subset(rows[8:]),
        batches=4,
        local_steps=steps,
        learning_rate=0.3,
    )
    return observation, data.train


def test_each_gradient_equals_that_of_its_batch(data: FederatedData, lenet: ModelConfig) -> None:
    observation, train = observed(data, lenet)
    model = build_model(lenet, shape=train.shape, classes=3, seed=0).eval()
    for batch in range(4):
        rows = torch.tensor([2 * batch, 2 * batch + 1, 8 + batch])
        for parameters, members, gradients in (
            (observation.before, rows, observation.gradients_before),
            (observation.after, rows[:2], observation.gradients_after),
        ):
            model.load_state_dict(parameters)
            loss = F.cross_entropy(model(train.images[members]), train.labels[members])
            expected = torch.autograd.grad(loss, list(model.parameters()))
            torch.testing.assert_close(gradients[batch], torch.cat([part.flatten() for part in expected]))
    assert (observation.retained, observation.forgotten, observation.batch) == (2, 1, 3)


def test_difference_is_the_gradient_of_the_forgotten_samples_if_the_model_did_not_move(
    data: FederatedData, lenet: ModelConfig
) -> None:
    observation, train = observed(data, lenet, moved=0.0)
    model = build_model(lenet, shape=train.shape, classes=3, seed=0).eval()
    loss = F.cross_entropy(model(train.images[9:10]), train.labels[9:10])
    expected = torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(model.parameters()))])
    torch.testing.assert_close(observation.difference[1], expected, atol=1e-5, rtol=1e-4)


def test_can_be_saved_and_loaded(data: FederatedData, lenet: ModelConfig, tmp_path: Path) -> None:
    observation, _ = observed(data, lenet, steps=2)
    observation.save(tmp_path / "observation.safetensors")
    again = Observation.load(tmp_path / "observation.safetensors")
    assert torch.equal(again.gradients_before, observation.gradients_before)
    assert torch.equal(again.gradients_after, observation.gradients_after)
    assert again.before.keys() == observation.before.keys()
    assert (again.local_steps, again.learning_rate) == (2, 0.3)


@pytest.mark.parametrize(("retained", "forgotten", "batches"), [(5, 4, 2), (4, 3, 2), (4, 0, 2), (4, 4, 0)])
def test_rejects_uneven_batches(
    data: FederatedData, lenet: ModelConfig, retained: int, forgotten: int, batches: int
) -> None:
    model = build_model(lenet, shape=data.train.shape, classes=3, seed=0)
    parameters = snapshot(model)
    with pytest.raises(UnlearningError, match="multiples"):
        observe(
            model,
            parameters,
            parameters,
            data.train.subset(torch.arange(retained)),
            data.train.subset(torch.arange(forgotten)),
            batches=batches,
        )
