"""Views and reconstructions: what an attacker holds, and what an attack must give back."""

import dataclasses

import pytest
import torch

from palimpsest.attacks import (
    ArchitectView,
    AuditorView,
    BatchReconstruction,
    Knowledge,
    Reconstruction,
    ServerView,
)
from palimpsest.attacks.auditor_view import spelled_out
from palimpsest.errors import DivergenceError


def test_each_attacker_knows_what_its_threat_model_says() -> None:
    gray_box = {Knowledge.PROOFS, Knowledge.ORACLE, Knowledge.AUXILIARY}
    assert AuditorView.knowledge == gray_box
    assert ArchitectView.knowledge == gray_box | {Knowledge.ARCHITECTURE}
    assert ServerView.knowledge == {
        Knowledge.ARCHITECTURE,
        Knowledge.PARAMETERS,
        Knowledge.BATCH_GRADIENTS,
        Knowledge.PUBLIC,
        Knowledge.LABELS,
    }


def test_a_view_has_no_field_for_a_forgotten_sample() -> None:
    held = {field.name for field in dataclasses.fields(AuditorView)}
    assert {"proofs", "oracle", "auxiliary", "device", "memory_budget", "scratch"} < held
    assert len(held) == 8
    assert {field.name for field in dataclasses.fields(ArchitectView)} == held | {"architecture"}
    server = {field.name for field in dataclasses.fields(ServerView)}
    assert server == {"observation", "architecture", "public", "labels", "device", "memory_budget"}


def test_a_budget_is_spent_on_what_it_affords(view: AuditorView) -> None:
    assert view.scratch is None
    assert view.answers_vary is False
    assert view.affords(10**9)
    limited = dataclasses.replace(view, further=5)
    assert [limited.affords(samples) for samples in (0, 5, 6)] == [True, True, False]
    assert not dataclasses.replace(view, further=0).affords(1)


def test_knowledge_is_spelled_out_in_order() -> None:
    told = spelled_out({Knowledge.PROOFS, Knowledge.ARCHITECTURE})
    assert told == [
        "One gradient difference (proof) for each forgotten sample.",
        "The model's architecture.",
    ]


@pytest.mark.parametrize("kind", [Reconstruction, BatchReconstruction])
def test_a_reconstruction_that_is_not_finite_is_refused_with_its_number(kind: type[Reconstruction]) -> None:
    more = {}
    if kind is BatchReconstruction:
        images, none = torch.zeros(0, 1, 4, 4), torch.zeros(4, dtype=torch.int64)
        more = {"labels": none, "remaining": images, "objectives": torch.zeros(4), "prior": images}
    images = torch.rand(4, 1, 4, 4)
    assert torch.equal(kind(images=images, curves={}, facts={}, **more).images, images)
    for value in (torch.nan, torch.inf):
        broken = images.clone()
        broken[2, 0, 3, 3] = value
        broken[3] = value
        with pytest.raises(DivergenceError, match=r"2 of 4 reconstructions .* the first is number 2"):
            kind(images=broken, curves={}, facts={}, **more)
