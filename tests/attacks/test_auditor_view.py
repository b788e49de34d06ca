from dataclasses import replace
from pathlib import Path

import pytest
import torch

from palimpsest.attacks import ArchitectView, AuditorView, Knowledge, Reconstruction, spelled_out
from palimpsest.errors import DivergenceError


@pytest.mark.parametrize(("limit", "affordable"), [(None, True), (10, True), (9, False), (0, False)])
def test_the_limit_of_queries_is_kept(view: AuditorView, limit: int | None, affordable: bool) -> None:
    assert replace(view, remaining_queries=limit).affords(10) is affordable


def test_an_architect_also_knows_the_architecture() -> None:
    assert ArchitectView.knowledge - AuditorView.knowledge == {Knowledge.ARCHITECTURE}
    assert Knowledge.PARAMETERS not in ArchitectView.knowledge


def test_knowledge_is_written_as_sorted_sentences() -> None:
    assert spelled_out([Knowledge.LABELS, Knowledge.PUBLIC]) == [
        "Public images, none of them a client's.",
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
