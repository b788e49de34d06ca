from typing import Any

import torch
from torch import Tensor

from palimpsest.attacks import DRAGDP
from palimpsest.attacks.matching.priors import PRIORS, nearest_images, perturbed_starts, prior_images
from palimpsest.attacks.matching.problem import Batch, Term
from palimpsest.attacks.matching.setup import ProblemSetup


def setup_of(world: Any, **settings: Any) -> ProblemSetup:
    return DRAGDP().make_setup(world(**settings).view, generator=torch.Generator())


def targets_of(setup: ProblemSetup) -> Tensor:
    assert setup.targets is not None
    return setup.targets[:, setup.retained :]


def test_mean_and_class_mean(world: Any) -> None:
    setup = setup_of(world, forgotten=2)
    targets, generator = targets_of(setup), torch.Generator()
    assert torch.equal(PRIORS["mean"](setup, targets, generator)[1, 0], setup.public.mean(dim=0))
    found = PRIORS["class"](setup, targets, generator)
    label = int(targets[0, 1].argmax())
    torch.testing.assert_close(found[0, 1], setup.public[setup.public_labels == label].mean(dim=0))


def test_a_class_without_public_images_gets_the_overall_mean(world: Any) -> None:
    setup = setup_of(world)
    setup.public_labels.fill_(0)
    targets = torch.eye(4, dtype=torch.float64)[torch.tensor([[3], [2], [1]])]
    found = PRIORS["class"](setup, targets, torch.Generator())
    torch.testing.assert_close(found, setup.public.mean(dim=0).expand(3, 1, -1, -1, -1))


def test_a_blurred_image_is_smoother_than_public_ones(world: Any) -> None:
    setup = setup_of(world, channels=3)
    found = PRIORS["blurred"](setup, targets_of(setup), torch.Generator().manual_seed(0))
    assert found.shape == (3, 1, 3, 6, 6)
    assert float(found.diff(dim=-1).abs().mean()) < float(setup.public.diff(dim=-1).abs().mean())


def test_finds_the_image_with_the_given_gradient(world: Any) -> None:
    setup = setup_of(world, forgotten=2)
    targets = torch.eye(4, dtype=torch.float64)[torch.tensor([[0, 0], [1, 2], [3, 3]])]
    gradients = torch.stack(
        [setup.gradient(setup.before, setup.public[row][None], targets[row, :1]) for row in range(3)]
    )
    found = nearest_images(setup, setup.before, gradients, targets)
    for row in range(3):
        assert torch.equal(found[row, 0], setup.public[row])
    assert not torch.equal(found[0, 0], found[0, 1])
    assert not torch.equal(found[2, 0], found[2, 1])


def test_the_nearest_image_is_found_beside_fixed_samples(world: Any) -> None:
    setup = setup_of(world, retained=2)
    targets = targets_of(setup)
    fixed = Batch(setup.public[:6].unflatten(0, (3, 2)), setup.probabilities(slice(0, 2)))
    batch = Batch(
        torch.cat([fixed.images, setup.public[7:10].unsqueeze(1)], dim=1),
        torch.cat([fixed.targets, targets], dim=1),
    )
    term = Term(setup.before, setup.gradients(setup.before, batch), 1, fixed)
    found = prior_images("nearest", setup, term, slice(2, 3), torch.Generator())
    assert torch.equal(found[:, 0], setup.public[7:10])


def test_restarts_are_scattered_around_the_prior() -> None:
    images = torch.rand(2, 1, 3, 4, 4)
    found = perturbed_starts(images, 3, torch.Generator().manual_seed(0)).unflatten(0, (2, 3))
    assert torch.equal(found[:, 0], images)
    deviation = (found[:, 1:] - images[:, None]).std()
    assert 0.08 < float(deviation) < 0.12
