"""Types of the public API: pyright checks this file, which is never run."""

from pathlib import Path
from typing import assert_type

import torch
from torch import Tensor, nn

import palimpsest as pp
from palimpsest.flower import Audited, ProofMod


def vectors(original: nn.Module, unlearned: nn.Module, images: pp.ImageSet) -> Tensor:
    """Make gradients, a projection and a defense."""
    generator = torch.Generator().manual_seed(0)
    gradients = pp.per_sample_gradients(original, images.images, images.labels)
    differences = pp.gradient_differences(original, unlearned, images.images, images.labels)
    projection = assert_type(pp.fit_projection(differences, generator=generator), pp.Projection)
    assert_type(projection.transform(gradients), Tensor)
    assert_type(images.subset(torch.arange(3)), pp.ImageSet)
    return assert_type(pp.defend(differences, "sign", generator=generator), Tensor)


def proofs(original: nn.Module, unlearned: nn.Module, images: pp.ImageSet) -> pp.Verdicts:
    """Make, write, read and verify proofs."""
    made = assert_type(pp.prove(original, unlearned, images), pp.Proofs)
    pp.save_proofs(Path("proofs.safetensors"), made)
    read = assert_type(pp.load_proofs("proofs.safetensors"), pp.Proofs)
    defended = assert_type(pp.defend(read, [{"name": "sign"}]), pp.Proofs)
    assert_type(defended.vectors, Tensor)
    assert_type(defended.metadata, dict[str, str])
    return assert_type(pp.verify(read, tau=1.0), pp.Verdicts)


def runs() -> None:
    """Run audits and read their results."""
    config = assert_type(pp.read_config("digits", {"seed": 1}), pp.AuditConfig)
    result = assert_type(pp.audit(config, out="runs/one"), pp.AuditResult)
    assert_type(result.folder, Path)
    assert_type(result.verdict, str)
    assert_type(pp.load_images("digits", "train"), pp.ImageSet)
    assert_type(pp.preset_names(), list[str])
    assert_type(pp.ATTACKS.names(), list[str])
    assert_type(pp.runs("runs"), pp.Comparison)
    assert_type(pp.compare("runs/one", "runs/two"), pp.Comparison)
    assert_type(pp.purge(Path("runs/one")), pp.Purge)
    assert_type(pp.attack("case.yaml"), pp.AuditResult)
    assert_type(pp.doctor("case.yaml"), pp.Examination)
    assert_type(pp.reproduce("igf-table-1"), pp.Reproduction)


def forgotten(context: object) -> tuple[Tensor, Tensor]:
    """Return the samples that a client forgets."""
    return torch.zeros(1, 4), torch.zeros(1, dtype=torch.int64)


def flower(strategy: object) -> Audited:
    """Make both halves of an audited app."""
    ProofMod(lambda: nn.Linear(4, 2), forgotten, folder="own", defenses=[{"name": "sign"}])
    return Audited(strategy, "audit", instruction="erase")
