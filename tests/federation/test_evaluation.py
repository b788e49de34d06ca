import pytest
import torch
from torch import nn

from palimpsest.federation import accuracy, parameter_distance, predict, snapshot


def test_accuracy_is_the_share_of_correct_predictions(data):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    correct = [
        int(model(image.unsqueeze(0)).argmax()) == int(label)
        for image, label in zip(data.test.images, data.test.labels, strict=True)
    ]
    assert accuracy(model, data.test, batch_size=7) == pytest.approx(sum(correct) / len(correct))


def test_predict_uses_eval_mode_and_does_not_change_the_model(data):
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Dropout(0.5), nn.Linear(64, 3))
    before = snapshot(model)
    first, second = (predict(model, data.test.images, batch_size=size) for size in (3, 30))
    torch.testing.assert_close(first, second)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_distance_ignores_buffers():
    model = nn.BatchNorm1d(2)
    one, other = snapshot(model), snapshot(model)
    other["weight"] += torch.tensor([3.0, 0.0])
    other["bias"] += torch.tensor([0.0, 4.0])
    other["running_mean"] += 100
    assert parameter_distance(one, other, model) == pytest.approx(5.0)
