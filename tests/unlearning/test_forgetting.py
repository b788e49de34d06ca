import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from palimpsest.config import UnlearningConfig
from palimpsest.datasets import ImageSet
from palimpsest.errors import UnlearningError
from palimpsest.federation import Federation, accuracy, train
from palimpsest.metrics import Forgetting
from palimpsest.models import load_parameters
from palimpsest.unlearning import compare_models, make_request, measure_forgetting, unlearn


@pytest.fixture(scope="module")
def forgotten_class(data, lenet, config):
    settings = config(rounds=10, local_epochs=3)
    unlearning = UnlearningConfig(scenario="class", classes=(1,))
    original = train(Federation(data, lenet, settings, 1))
    retrained = unlearn(
        original, Federation(data, lenet, settings, 1), make_request(unlearning, data, seed=1), unlearning
    )
    request = make_request(unlearning, data, seed=1)
    return Federation(data, lenet, settings, 1), original.parameters, retrained.parameters, request


def test_retraining_has_distance_0(forgotten_class, data, lenet):
    federation, original, retrained, request = forgotten_class
    result = measure_forgetting(original, retrained, dict(retrained), federation, request)
    assert result == measure_forgetting(original, retrained, retrained, federation, request)
    assert result.distance.absolute == 0
    assert result.distance.relative == 0
    assert result.distance.divergence == pytest.approx(0, abs=1e-9)
    assert result.distance.agreement == 1
    assert result.unlearned == result.retrained


def test_the_original_has_distance_1(forgotten_class, data, lenet):
    federation, original, retrained, request = forgotten_class
    result = measure_forgetting(original, original, retrained, federation, request)
    assert result.distance.relative == 1
    assert result.distance.absolute > 0
    assert result.distance.divergence > 0.1
    assert result.distance.agreement < 0.9
    unchanged = measure_forgetting(original, original, original, federation, request)
    assert unchanged.distance.relative is None


def test_accuracies_and_divergence_equal_reference_values(forgotten_class, data, lenet):
    federation, original, retrained, request = forgotten_class
    result = measure_forgetting(original, original, retrained, federation, request)
    exact = load_parameters(federation.network(), retrained).eval()
    assert result.retrained.forgotten == 0
    assert result.original.forgotten > 0.9
    assert result.retrained.retained == accuracy(exact, data.train.subset(request.retained_rows))
    assert result.retrained.test == accuracy(exact, data.test)
    before = load_parameters(federation.network(), original).eval()
    with torch.no_grad():
        p = F.softmax(exact(data.test.images), 1).double()
        q = F.softmax(before(data.test.images), 1).double()
    expected = (p * (p.log() - q.log())).sum(1).mean().item()
    assert result.distance.divergence == pytest.approx(expected, rel=1e-4)


def test_compares_members_with_the_same_classes(forgotten_class, data, lenet):
    federation, original, retrained, request = forgotten_class
    result = measure_forgetting(original, retrained, retrained, federation, request)
    assert result.others == int((data.held_out.labels == 1).sum())
    # Retraining saw neither group. With non-members of other classes, the attack would separate them perfectly.
    assert abs(result.retrained.membership.auc - 0.5) < 0.25
    others = (data.held_out.labels != 1).nonzero().squeeze(1)
    bare = dataclasses.replace(data, held_out=data.held_out.subset(others))
    with pytest.raises(UnlearningError, match="No held-out sample has a forgotten sample's class"):
        measure_forgetting(
            original, retrained, retrained, dataclasses.replace(federation, data=bare), request
        )


def test_membership_inference_works_on_an_overfitted_model(data, lenet, config):
    generator = torch.Generator().manual_seed(0)
    noise = ImageSet("noise", torch.rand(75, 1, 8, 8, generator=generator), torch.arange(75) % 3, 3)
    others = dataclasses.replace(noise, images=torch.rand(75, 1, 8, 8, generator=generator))
    noisy = dataclasses.replace(data, train=noise, test=others, held_out=others)
    settings = config(rounds=20, local_epochs=8, fraction=1.0, learning_rate=0.05)
    unlearning = UnlearningConfig(count=20)
    original = train(Federation(noisy, lenet, settings, 1))
    retrained = unlearn(
        original, Federation(noisy, lenet, settings, 1), make_request(unlearning, noisy, seed=1), unlearning
    )
    request = make_request(unlearning, noisy, seed=1)
    states = original.parameters, retrained.parameters, retrained.parameters
    result = measure_forgetting(*states, Federation(noisy, lenet, settings, 1), request)
    assert result.original.membership.auc > 0.8
    assert result.retrained.membership.auc < 0.7


def test_can_be_saved_and_loaded(forgotten_class, data, lenet, tmp_path):
    federation, original, retrained, request = forgotten_class
    result = measure_forgetting(original, retrained, retrained, federation, request)
    result.save(tmp_path / "forgetting.safetensors")
    assert Forgetting.load(tmp_path / "forgetting.safetensors") == result


def test_compares_two_models_without_retraining() -> None:
    torch.manual_seed(3)
    images, labels = torch.rand(20, 1, 4, 4), torch.arange(20) % 2
    samples = ImageSet("small", images, labels, 2)
    forgotten, others = samples.subset(torch.arange(8)), samples.subset(torch.arange(8, 20))
    before, after = (nn.Sequential(nn.Flatten(), nn.Linear(16, 2)) for _ in range(2))
    compared = compare_models(before, after, forgotten=forgotten, others=others)
    assert (compared.retrained, compared.distance, compared.others) == (None, None, 12)
    right = (before(forgotten.images).argmax(1) == forgotten.labels).float().mean().item()
    assert compared.original.forgotten == pytest.approx(right)
    other_class = ImageSet("other", images, torch.full((20,), 2), 3)
    with pytest.raises(UnlearningError, match="forgotten sample's class"):
        compare_models(before, after, forgotten=forgotten, others=other_class)
