from pathlib import Path
from typing import Any

import pytest
import torch
from tests.support.artifacts import NO_MODELS, Make

from palimpsest.attacks import DRAGD, IGF, ArchitectView, AuditorView, Knowledge, ServerView
from palimpsest.datasets import ImageSet, RowSet
from palimpsest.errors import KnowledgeError
from palimpsest.pipeline.stages.preflight import check_attack_on_artifacts, check_knowledge, check_samples

LABELS = torch.zeros(4, dtype=torch.int64)
ROWS = RowSet("table", torch.rand(4, 2), LABELS, 1, ("a", "b"))


def test_the_missing_knowledge_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    check_knowledge(IGF(), AuditorView)
    monkeypatch.setattr(IGF, "knowledge", IGF.knowledge | {Knowledge.LABELS, Knowledge.ARCHITECTURE})
    with pytest.raises(
        KnowledgeError,
        match="IGF needs to know the labels of the forgotten samples; the model's architecture, which an auditor",
    ):
        check_knowledge(IGF(), AuditorView)
    with pytest.raises(
        KnowledgeError, match="IGF needs to know the labels of the forgotten samples, which an"
    ):
        check_knowledge(IGF(), ArchitectView)


def test_a_servers_attack_is_checked_against_what_a_server_holds() -> None:
    check_knowledge(DRAGD(), ServerView)
    with pytest.raises(KnowledgeError, match="which a server does not"):
        check_knowledge(IGF(), ServerView)


def test_an_attack_on_other_samples_is_refused_and_fitting_ones_are_named() -> None:
    check_samples("igf", IGF(), ImageSet("drawn", torch.rand(4, 1, 2, 2), LABELS, 1))
    with pytest.raises(
        KnowledgeError, match="igf reconstructs images, and table holds rows of a table"
    ) as stop:
        check_samples("igf", IGF(), ROWS)
    fitting = str(stop.value).partition("choose ")[2]
    assert "igf-rows" in fitting
    assert "igf-plus" not in fitting
    with pytest.raises(KnowledgeError, match="dragd reconstructs images"):
        check_samples("dragd", DRAGD(), ROWS)


def checked(config: Any) -> None:
    check_attack_on_artifacts(config, config.attack.build())


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"attack": {"name": "dragd"}}, "attack from the server"),
        (NO_MODELS | {"attack": {"name": "igf-white"}}, "architecture"),
    ],
)
def test_attacks_on_proofs(case: Make, keys: dict[str, Any], words: str) -> None:
    checked(case())
    checked(case(attack={"name": "igf-white"}))
    with pytest.raises(KnowledgeError, match=words):
        checked(case(**keys))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"attack": {"name": "igf"}}, "an auditor's attack"),
        ({"defenses": [{"name": "sign"}]}, "imitates no defense"),
    ],
)
def test_attacks_on_gradients(served: Make, here: Path, keys: dict[str, Any], words: str) -> None:
    checked(served())
    with pytest.raises(KnowledgeError, match=words):
        checked(served(**keys))
