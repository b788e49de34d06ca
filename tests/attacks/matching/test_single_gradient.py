import pytest
import torch
from tests.support.attack_views import World, seeded

from palimpsest.attacks import DeepLeakage, ImprovedDeepLeakage, InvertingGradients, Minimum, SearchResult
from palimpsest.attacks.matching.single_gradient import unmatched_samples


def result_of(images: torch.Tensor, targets: torch.Tensor) -> SearchResult:
    batches = len(images)
    minimum = Minimum(torch.zeros(batches, 1), torch.arange(float(batches)), torch.zeros(2, batches))
    return SearchResult(images, targets, minimum)


@pytest.mark.parametrize("steps", [1, 3])
def test_objective_is_zero_at_the_truth_after_several_local_steps(world: type[World], steps: int) -> None:
    clients = world(local_steps=steps)
    for stage in DeepLeakage().check_objective(clients.view, *clients.truth).values():
        assert float(stage.max()) < 1e-12


def test_unmatched_samples_are_the_forgotten_ones() -> None:
    images = torch.rand(3, 4, 1, 5, 5, generator=seeded(1))
    targets = torch.eye(4).expand(3, -1, -1)
    forgotten = torch.tensor([2, 0, 3])
    retained_rows = [[3, 0, 1], [1, 3, 2], [0, 2, 1]]
    retained_images = torch.stack([images[batch][rows] for batch, rows in enumerate(retained_rows)]) + 0.01
    retained_targets = torch.stack([targets[batch][rows] for batch, rows in enumerate(retained_rows)])
    batch = result_of(images, targets)
    unmatched = unmatched_samples(batch, result_of(retained_images, retained_targets))
    assert torch.equal(unmatched.images, images[torch.arange(3), forgotten][:, None])
    assert torch.equal(unmatched.targets, targets[torch.arange(3), forgotten][:, None])
    assert torch.equal(unmatched.minimum.values, batch.minimum.values)


def test_labels_distinguish_samples_with_equal_images() -> None:
    images = torch.full((1, 2, 1, 2, 2), 0.5)
    retained = result_of(images[:, :1], torch.tensor([[[1.0, 0.0]]]))
    unmatched = unmatched_samples(result_of(images, torch.eye(2)[None]), retained)
    assert unmatched.labels.tolist() == [1]


def test_idlg_infers_the_labels(world: type[World]) -> None:
    clients = world(retained=1, moved=0.0)
    result = ImprovedDeepLeakage(iterations=1)(clients.view, generator=seeded())
    assert result.facts["labels_inferred"] == 1
    assert torch.equal(result.labels, clients.forgotten.labels)


def test_inverting_gradients_uses_the_objective_of_the_paper() -> None:
    attack = InvertingGradients()
    assert (attack.objective, attack.optimizer, attack.total_variation) == ("cosine", "adam-hard-sign", 1e-2)
