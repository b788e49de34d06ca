import dataclasses

import torch
from tests.support.attack_views import World, seeded

from palimpsest.attacks import DRAGD, ProblemSetup


def test_converts_the_view_to_one_precision(world: type[World]) -> None:
    clients = world(channels=3)
    view = clients.view
    for precision, dtype in (("float32", torch.float32), ("float64", torch.float64)):
        setup = DRAGD(precision=precision).make_setup(view, generator=seeded())
        tensors = [setup.gradients_before, setup.gradients_after, setup.difference, setup.public]
        assert {value.dtype for value in [*tensors, *setup.before.values(), *setup.after.values()]} == {dtype}
        torch.testing.assert_close(setup.gradients_before, view.observation.gradients_before.to(dtype))
        torch.testing.assert_close(setup.gradients_after, view.observation.gradients_after.to(dtype))
    assert setup.shape == (3, 6, 6)
    assert (setup.retained, setup.forgotten, setup.classes) == (2, 1, 4)


def test_targets_are_one_hot_with_the_retained_samples_first(world: type[World]) -> None:
    clients = world()
    setup = DRAGD().make_setup(clients.view, generator=seeded())
    assert setup.targets is not None
    labels = torch.cat([clients.labels.retained, clients.labels.forgotten], 1)
    assert torch.equal(setup.targets.argmax(-1), labels)
    assert torch.equal(setup.targets.sum(-1), torch.ones_like(labels, dtype=torch.float64))


def test_has_no_targets_without_labels(world: type[World]) -> None:
    view = world().view
    setup = ProblemSetup.from_view(view, view.observation.difference, None, dtype=torch.float32)
    assert setup.targets is None


def test_chunk_fits_the_memory_budget(world: type[World]) -> None:
    setup = DRAGD(precision="float32").make_setup(world().view, generator=seeded())
    # Convolution, sigmoid and flatten compute 6 x 3 x 3 values each, the linear layer and the network four each.
    assert setup.activations == 3 * 54 + 4 + 4
    one_start = 4 * (8 * setup.gradients_before.shape[1] + 24 * 2 * setup.activations)
    assert dataclasses.replace(setup, memory_budget=5 * one_start).chunk(2) == 5
    assert dataclasses.replace(setup, memory_budget=5 * one_start - 1).chunk(2) == 4
    assert dataclasses.replace(setup, memory_budget=1).chunk(2) == 1
