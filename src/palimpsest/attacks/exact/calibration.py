"""Calibration of the certificates on proofs of auxiliary images, whose truth the attacker knows."""

from dataclasses import replace

import torch
from torch import Tensor

from palimpsest.attacks.certificates import HALF_LEVEL, calibrate_threshold
from palimpsest.attacks.exact.chain import relative
from palimpsest.attacks.exact.read_chain import Trunk
from palimpsest.attacks.exact.solver import Solver
from palimpsest.attacks.exact.state import ExactState
from palimpsest.datasets import ImageSet
from palimpsest.oracles import Oracle, query_all
from palimpsest.progress import progress_line

# A layer's inputs are correct if their relative error is below this one. No threshold exceeds the second number.
_CORRECT, _HIGHEST = 1e-3, 1e-2


def calibrate(
    state: ExactState,
    trunk: Trunk,
    oracle: Oracle,
    auxiliary: ImageSet,
    rows: Tensor,
    *,
    rounds: int,
    batch: int,
    device: str,
) -> ExactState:
    """Solve the proofs of auxiliary images, and set the thresholds between correct and wrong solutions.

    Args:
        state: The trained state.
        trunk: Both models.
        oracle: Answers the proofs of the images.
        auxiliary: The auditor's images.
        rows: Indices of the images; the starts were not trained on them.
        rounds: Rounds of Gauss-Newton.
        batch: Proofs that are solved at a time.
        device: Device of the learned starts.

    Returns:
        The state with thresholds, and with the calibration's scores as facts.
    """
    solver = Solver(state, rounds, device)
    trials = []
    with progress_line("calibrate the certificates", len(rows)) as line:
        for part in rows.split(batch):
            trials.append(_solve(solver, trunk, oracle, auxiliary.subset(part)))
            line.advance(len(part))
    residuals, correct, proof_residuals, exact, errors = (
        torch.cat(values) for values in zip(*trials, strict=True)
    )
    thresholds = tuple(
        calibrate_threshold(residuals[:, layer], correct[:, layer], highest=_HIGHEST)
        for layer in range(len(state.chain.layers))
    )
    facts = state.facts | {
        "calibration_images": len(rows),
        "calibration_mse": float(errors.mean()),
        "calibration_exact": float(exact.double().mean()),
    }
    proof_threshold = calibrate_threshold(proof_residuals, exact, highest=_HIGHEST)
    return replace(state, thresholds=thresholds, proof_threshold=proof_threshold, facts=facts)


def _solve(
    solver: Solver, trunk: Trunk, oracle: Oracle, samples: ImageSet
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Solve the proofs of images, and compare the solutions with the truth.

    Returns:
        Residuals of the layers, and which of their inputs are correct, `[n, layers]` each; residuals of the whole
        proofs, which images are exact, and their mean squared errors, `[n]` each.
    """
    solved = solver.solve(query_all(oracle, samples))
    truth = [inputs.flatten(1) for inputs in trunk.levels(samples.images)]
    pairs = zip(reversed(solved.descent.features), reversed(truth), strict=True)
    correct = [relative(found.flatten(1) - other, other) < _CORRECT for found, other in pairs]
    differences = (solved.images - samples.images).flatten(1)
    exact = differences.abs().amax(1) < HALF_LEVEL
    errors = differences.square().mean(1)
    return solved.descent.residuals, torch.stack(correct, 1), solved.proof_residuals, exact, errors
