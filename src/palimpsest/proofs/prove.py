"""Computation of proofs: one gradient difference for each forgotten sample."""

import json

import torch
from torch import Tensor, nn

from palimpsest.datasets import SampleSet
from palimpsest.gradients import (
    DEFAULT_BUDGET,
    gradient_differences,
    mean_difference,
    parameter_count,
    trainable_parameters,
)
from palimpsest.models import bare
from palimpsest.progress import progress_line
from palimpsest.proofs.file import Proofs
from palimpsest.proofs.groups import Groups, describe_groups
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
    return _attested(vectors, original, unlearned)


def prove_groups(
    original: nn.Module,
    unlearned: nn.Module,
    forgotten: SampleSet,
    groups: Groups,
    *,
    granularity: str,
    memory_budget: int = DEFAULT_BUDGET,
) -> Proofs:
    """Make aggregated proofs: the mean of the gradient differences of each group. No sample's own vector is formed.

    Args:
        original: Model before unlearning.
        unlearned: Model after unlearning.
        forgotten: Forgotten samples.
        groups: Their division into groups.
        granularity: Samples behind a proof, for the metadata.
        memory_budget: Bytes that the computation may take in addition to the result.

    Returns:
        Proofs, `[groups, d]`, with the groups' sizes in their metadata.
    """
    vectors = list[Tensor]()
    with progress_line("aggregated proofs", len(groups.sizes)) as line:
        for number in range(len(groups.sizes)):
            members = groups.members(number)
            inputs, labels = forgotten.inputs[members], forgotten.labels[members]
            vectors.append(mean_difference(original, unlearned, inputs, labels, memory_budget=memory_budget))
            line.advance(1)
    proofs = _attested(torch.stack(vectors), original, unlearned)
    return Proofs(proofs.vectors, proofs.metadata | describe_groups(groups, granularity))


def _attested(vectors: Tensor, original: nn.Module, unlearned: nn.Module) -> Proofs:
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
