"""Verification stage: the norm check of the proofs, with a given or a calibrated threshold."""

from collections.abc import Sequence

import torch

from palimpsest.config import VerificationConfig
from palimpsest.datasets import SampleSet
from palimpsest.oracles import Oracle
from palimpsest.proofs import Proofs, Verdicts, calibrate_tau, proof_norms, verify
from palimpsest.runs import Run


def verify_proofs(
    run: Run,
    verification: VerificationConfig,
    proofs: Proofs,
    oracle: Oracle,
    held_out: SampleSet,
    *,
    key: Sequence[object],
) -> Verdicts:
    """Run the stage `verdicts`: the norm check of the proofs (IGF, section 3.1).

    Args:
        run: The run that stores the stage.
        verification: The threshold, or the quantile for its calibration.
        proofs: The proofs that the clients issued.
        oracle: The oracle that answers for the held-out samples.
        held_out: Samples that the models were never trained on.
        key: Everything that the oracle's answers depend on.

    Returns:
        A verdict for each proof, and the threshold.
    """
    return run.stage(
        "verdicts",
        Verdicts,
        lambda _: verify(proofs, tau=choose_tau(verification, oracle, held_out)),
        key=(proofs, *key, verification, held_out),
    )


def choose_tau(verification: VerificationConfig, oracle: Oracle, held_out: SampleSet) -> float:
    """Return the verifier's threshold: the given one, or the quantile of the held-out samples' norms.

    Args:
        verification: The threshold, or the quantile for its calibration.
        oracle: The oracle that answers for the held-out samples.
        held_out: Samples that the models were never trained on.
    """
    if verification.tau != "calibrated":
        return verification.tau
    norms = torch.cat([proof_norms(chunk) for chunk in oracle.differences(held_out.inputs, held_out.labels)])
    return calibrate_tau(norms, quantile=verification.quantile)
