from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import nn

from palimpsest.artifacts import AuditorArtifacts, Models, read_artifacts_config
from palimpsest.artifacts.oracle import OracleSource
from palimpsest.attacks import AuditorView
from palimpsest.datasets import ImageSet
from palimpsest.gradients import gradient_differences
from palimpsest.oracles import oracle_of
from palimpsest.pipeline.stages.own_models import study_own_models, study_own_proofs
from palimpsest.proofs import Proofs
from palimpsest.runs import Run


def drawn(count: int, seed: int) -> ImageSet:
    images = torch.rand(count, 1, 4, 4, generator=torch.Generator().manual_seed(seed))
    return ImageSet("drawn", images, torch.arange(count) % 2, 2)


TRUTH, AUXILIARY = drawn(8, seed=1), drawn(60, seed=2)
CONFIG = read_artifacts_config(None, {"proofs": "p.safetensors", "auxiliary": "own"})


def model(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    size = TRUTH.images[0].numel()
    return nn.Sequential(nn.Flatten(), nn.Linear(size, TRUTH.classes)).eval()


def models() -> Models:
    return Models(model(1), model(2), model(1).to("meta"), TRUTH.classes)


def artifacts(held: Models | None) -> tuple[AuditorArtifacts, AuditorView[Any]]:
    both = models()
    vectors = gradient_differences(both.original, both.unlearned, TRUTH.images, TRUTH.labels)
    oracle = oracle_of(both.original, both.unlearned, memory_budget=2**30)
    source = OracleSource(oracle, "both models", "", None, None)
    view = AuditorView(vectors, oracle, AUXILIARY, "cpu", 2**30)
    return AuditorArtifacts(Proofs(vectors), held, AUXILIARY, TRUTH, source, (), ()), view


@pytest.fixture
def run(tmp_path: Path):
    with Run.open(tmp_path / "run", CONFIG, console=Console(quiet=True)) as opened:
        yield opened


def test_forgetting_compares_the_forgotten_with_the_auxiliary_samples(run: Run) -> None:
    both = models()
    forgetting = study_own_models(run, both, TRUTH, AUXILIARY)
    assert forgetting is not None
    assert (forgetting.retrained, forgetting.distance, forgetting.original.retained) == (None, None, None)
    right = (both.original(TRUTH.images).argmax(1) == TRUTH.labels).float().mean()
    assert forgetting.original.forgotten == pytest.approx(right.item())


def test_forgetting_needs_models_truth_and_a_common_class(run: Run) -> None:
    assert study_own_models(run, None, TRUTH, AUXILIARY) is None
    assert study_own_models(run, models(), None, AUXILIARY) is None
    others = replace(AUXILIARY, labels=torch.full_like(AUXILIARY.labels, 1))
    alone = replace(TRUTH, labels=torch.zeros_like(TRUTH.labels))
    assert study_own_models(run, models(), alone, others) is None


def test_forgeries_are_tried_only_with_checkpoints_and_free_queries(run: Run) -> None:
    without, view = artifacts(None)
    assert study_own_proofs(run, CONFIG, without, view, key=()) is None
    held, view = artifacts(models())
    assert study_own_proofs(run, CONFIG, held, replace(view, remaining_queries=5), key=()) is None
    few = replace(view, auxiliary=AUXILIARY.subset(torch.arange(4)))
    assert study_own_proofs(run, CONFIG, held, few, key=()) is None
    soundness = study_own_proofs(run, CONFIG, held, view, key=())
    assert soundness is not None
    assert soundness.areas["norm"]["zeros"][0] == 0
