from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

from palimpsest.attacks import (
    ArchitectView,
    AuditorView,
    BatchReconstruction,
    Knowledge,
    Reconstruction,
    ServerView,
    spelled_out,
)
from palimpsest.errors import DivergenceError


@pytest.mark.parametrize(("limit", "affordable"), [(None, True), (10, True), (9, False), (0, False)])
def test_affords_follows_the_query_limit(view: AuditorView, limit: int | None, affordable: bool) -> None:
    assert replace(view, remaining_queries=limit).affords(10) is affordable


def test_an_architect_also_knows_the_architecture() -> None:
    assert ArchitectView.knowledge - AuditorView.knowledge == {Knowledge.ARCHITECTURE}
    assert Knowledge.PARAMETERS not in ArchitectView.knowledge


def test_knowledge_is_written_as_sorted_sentences() -> None:
    assert spelled_out([Knowledge.LABELS, Knowledge.PUBLIC]) == [
        "Public images.",
        "The labels of the forgotten samples.",
    ]


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_reconstruction_must_be_finite(value: float) -> None:
    images = torch.zeros(4, 1, 2, 2)
    images[2, 0, 1, 1] = value
    with pytest.raises(DivergenceError, match=r"1 of 4 reconstructions .* the first is number 2"):
        Reconstruction(images, {}, {})


def test_a_reconstruction_is_stored_with_its_history(tmp_path: Path) -> None:
    reconstruction = Reconstruction(torch.rand(2, 1, 2, 2), {"training_loss": [1.0, 0.5]}, {"queries": 3.0})
    reconstruction.save(tmp_path / "reconstruction.safetensors")
    loaded = Reconstruction.load(tmp_path / "reconstruction.safetensors")
    assert torch.equal(loaded.images, reconstruction.images)
    assert (loaded.history, loaded.facts) == (reconstruction.history, reconstruction.facts)


def test_each_view_has_the_knowledge_of_its_threat_model() -> None:
    gray_box = {Knowledge.PROOFS, Knowledge.ORACLE, Knowledge.AUXILIARY}
    assert AuditorView.knowledge == gray_box
    assert ArchitectView.knowledge == gray_box | {Knowledge.ARCHITECTURE}
    assert ServerView.knowledge == {
        Knowledge.ARCHITECTURE,
        Knowledge.PARAMETERS,
        Knowledge.BATCH_GRADIENTS,
        Knowledge.PUBLIC,
        Knowledge.LABELS,
        Knowledge.NOISE,
    }


def test_a_view_has_no_field_for_a_forgotten_sample() -> None:
    names = {field.name for field in fields(AuditorView)}
    assert {"proofs", "oracle", "auxiliary", "device", "memory_budget", "scratch", "group_sizes"} < names
    assert len(names) == 9
    assert {field.name for field in fields(ArchitectView)} == names | {"architecture"}
    server = {field.name for field in fields(ServerView)}
    assert server == {
        "observation",
        "architecture",
        "public",
        "labels",
        "device",
        "memory_budget",
        "mechanism",
    }


def test_queries_are_unlimited_by_default(view: AuditorView) -> None:
    assert view.scratch is None
    assert view.stochastic_oracle is False
    assert view.affords(10**9)
    limited = replace(view, remaining_queries=5)
    assert [limited.affords(samples) for samples in (0, 5, 6)] == [True, True, False]
    assert not replace(view, remaining_queries=0).affords(1)


@pytest.mark.parametrize("kind", [Reconstruction, BatchReconstruction])
def test_the_error_names_the_first_reconstruction_that_is_not_finite(kind: type[Reconstruction]) -> None:
    batch_fields = {}
    if kind is BatchReconstruction:
        no_images, labels = torch.zeros(0, 1, 4, 4), torch.zeros(4, dtype=torch.int64)
        batch_fields = {
            "labels": labels,
            "retained": no_images,
            "objectives": torch.zeros(4),
            "prior": no_images,
        }
    images = torch.rand(4, 1, 4, 4)
    assert torch.equal(kind(images=images, history={}, facts={}, **batch_fields).images, images)
    for value in (torch.nan, torch.inf):
        broken = images.clone()
        broken[2, 0, 3, 3] = value
        broken[3] = value
        with pytest.raises(DivergenceError, match=r"2 of 4 reconstructions .* the first is number 2"):
            kind(images=broken, history={}, facts={}, **batch_fields)
