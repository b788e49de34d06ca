"""Fit of the starts and priors."""

import torch
from torch.testing import assert_close

from palimpsest.attacks.exact.fit import fit_state


def test_a_start_and_a_prior_for_each_layer(fitted) -> None:
    state = fitted.state
    assert [start.features.level for start in state.starts] == [2, 1]
    assert [prior.level for prior in state.priors] == [0, 1]
    assert len(state.errors) == 2
    assert set(state.history) == {"training_loss", "validation_mse", "training_loss_2", "validation_mse_2"}


def test_images_are_kept_aside(fitted) -> None:
    assert len(fitted.kept) == 6
    assert fitted.state.facts["kept_aside"] == 6


def test_errors_are_those_of_the_start(fitted) -> None:
    start, errors = fitted.state.starts[1], fitted.state.errors[1]
    images = fitted.view.auxiliary.images[fitted.kept]
    outputs = fitted.case.trunk.levels(images)[1]
    expected = images - start.images(outputs, device="cpu")
    assert_close(errors.samples[: len(images)], expected.half(), atol=1e-3, rtol=1e-2)
    assert len(errors.samples) == 60


def test_the_same_generator_gives_the_same_state(fitted) -> None:
    again, _ = fit_state(
        fitted.case.trunk, fitted.view.auxiliary, fitted.plan, generator=torch.Generator().manual_seed(0)
    )
    assert again.history == fitted.state.history
    assert again.seed == fitted.state.seed
