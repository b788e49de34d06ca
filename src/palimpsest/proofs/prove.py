"""Computation of proofs: one gradient difference for each forgotten sample."""

from torch import nn

from palimpsest.datasets import SampleSet
from palimpsest.gradients import DEFAULT_BUDGET, gradient_differences
from palimpsest.proofs.file import Proofs
from palimpsest.storage import parameters_hash


def prove(
    original: nn.Module, unlearned: nn.Module, forgotten: SampleSet, *, memory_budget: int = DEFAULT_BUDGET
) -> Proofs:
    """Make the proofs of federated unlearning (IGF, section 3.1, Verification in FU).

    Args:
        original: Model before unlearning.
        unlearned: Model after unlearning.
        forgotten: Forgotten samples, in the order of the proofs.
        memory_budget: Bytes that the computation may take in addition to the result.

    Returns:
        Proofs, `[n, d]`, with the hashes of both models and the loss in their metadata.
    """
    vectors = gradient_differences(
        original, unlearned, forgotten.inputs, forgotten.labels, memory_budget=memory_budget
    )
    metadata = {
        "original": parameters_hash(original.state_dict()),
        "unlearned": parameters_hash(unlearned.state_dict()),
        "loss": "cross_entropy",
        "mode": "eval",
        "order": "named_parameters",
        "defenses": "[]",
    }
    return Proofs(vectors.cpu(), metadata)
