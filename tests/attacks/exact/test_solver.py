"""Solution of proofs with a fitted state."""

from dataclasses import replace

import torch
from torch.testing import assert_close

from palimpsest.attacks.exact.solver import Solver


def test_solved_proofs_give_the_images(fitted) -> None:
    solved = Solver(fitted.state, 4, "cpu").solve(fitted.view.proofs)
    images = fitted.case.images.float()
    complete = (solved.descent.residuals <= 1e-4).all(1)
    assert complete.any()
    assert_close(solved.images[complete], images[complete], atol=1e-3, rtol=0)
    assert (solved.proof_residuals[complete] < 1e-4).all()


def test_without_certified_layers_the_start_gives_the_images(fitted) -> None:
    state = replace(fitted.state, thresholds=(0.0, 0.0, 0.0))
    solved = Solver(state, 0, "cpu").solve(fitted.view.proofs)
    start = state.starts[0]
    outputs = solved.descent.features[-1]
    assert_close(solved.images, start.images(outputs, device="cpu"), atol=2e-3, rtol=0)
    assert solved.descent.residuals[:, 1:].isinf().all()


def test_a_refined_image_never_fits_the_features_worse(fitted) -> None:
    state = replace(fitted.state, thresholds=(1e-3, 1e-3, 0.0))
    plain = Solver(state, 0, "cpu").solve(fitted.view.proofs)
    refined = Solver(state, 6, "cpu").solve(fitted.view.proofs)
    solver = Solver(state, 6, "cpu")
    rows = (plain.descent.level(state.thresholds) == 1).nonzero().flatten()
    assert len(rows)
    before, after = (
        solver._misfit(plain.descent, 1, rows, solved.images[rows]) for solved in (plain, refined)
    )
    assert (after <= before).all()
    assert after.sum() < 0.5 * before.sum()


def test_an_exact_image_reproduces_the_whole_proof(fitted) -> None:
    solver = Solver(fitted.state, 0, "cpu")
    images, labels = fitted.case.images.float(), fitted.case.labels
    proofs = torch.cat(list(fitted.view.oracle.differences(images, labels)))
    descent = replace(solver.solve(proofs).descent, labels=labels)
    assert solver._proof_residuals(images, descent, proofs).max() < 1e-4
    other = solver._proof_residuals(1 - images, descent, proofs)
    assert other.min() > 1e-2
