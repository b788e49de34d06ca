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
from palimpsest.oracles import Oracle
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
    solver, chain = Solver(state, rounds, device), state.chain
    residuals, correct, proof_residuals, exact, errors = [], [], [], [], []
    with progress_line("calibrate the certificates", len(rows)) as line:
        for part in rows.split(batch):
            images, labels = auxiliary.images[part], auxiliary.labels[part]
            proofs = torch.cat([chunk.cpu() for chunk in oracle.differences(images, labels)])
            solved = solver.solve(proofs)
            found = solved.descent.features
            truth = [inputs.flatten(1) for inputs in trunk.levels(images)]
            correct.append(
                torch.stack(
                    [
                        relative(mine.flatten(1) - other, other) < _CORRECT
                        for mine, other in zip(reversed(found), reversed(truth), strict=True)
                    ],
                    1,
                )
            )
            residuals.append(solved.descent.residuals)
            proof_residuals.append(solved.proof_residuals)
            exact.append((solved.images - images).abs().flatten(1).amax(1) < HALF_LEVEL)
            errors.append((solved.images - images).square().flatten(1).mean(1))
            line.advance(len(part))
    all_residuals, all_correct = torch.cat(residuals), torch.cat(correct)
    thresholds = tuple(
        calibrate_threshold(all_residuals[:, layer], all_correct[:, layer], highest=_HIGHEST)
        for layer in range(len(chain.layers))
    )
    proof_threshold = calibrate_threshold(torch.cat(proof_residuals), torch.cat(exact), highest=_HIGHEST)
    facts = state.facts | {
        "calibration_images": len(rows),
        "calibration_mse": float(torch.cat(errors).mean()),
        "calibration_exact": float(torch.cat(exact).double().mean()),
    }
    return replace(state, thresholds=thresholds, proof_threshold=proof_threshold, facts=facts)
