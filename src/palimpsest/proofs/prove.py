"""Computation of proofs: one gradient difference for each forgotten sample."""

import json

from torch import nn

from palimpsest.datasets import SampleSet
from palimpsest.gradients import DEFAULT_BUDGET, gradient_differences, parameter_count, trainable_parameters
from palimpsest.models import bare
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
    } | describe_trainable(original)
    return Proofs(vectors.cpu(), metadata)


def describe_trainable(model: nn.Module) -> dict[str, str]:
    """Return metadata on the parameters that a proof is made of: their names and shapes as JSON, and their share.

    Args:
        model: The model that clients train.
    """
    shapes = {name: list(value.shape) for name, value in trainable_parameters(bare(model)).items()}
    total = sum(parameter.numel() for parameter in model.parameters())
    return {"trainable": json.dumps(shapes), "parameters": f"{parameter_count(model)} of {total}"}
