"""The membership stage of an audit."""

from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from tests.support.studies import tiny_config

from palimpsest.config import AuditConfig
from palimpsest.datasets import load_data
from palimpsest.errors import ConfigurationError
from palimpsest.federation import Federation, train
from palimpsest.membership import Assessment
from palimpsest.models import load_parameters
from palimpsest.oracles import ModelOracle
from palimpsest.pipeline.stages import membership as stage
from palimpsest.pipeline.stages.membership import infer_membership
from palimpsest.proofs import prove
from palimpsest.runs import Run
from palimpsest.unlearning import make_request, unlearn


def config(**changes: Any) -> AuditConfig:
    return tiny_config("digits", model={"name": "mlp", "width": 4}, **changes)


def inferred(folder: Path, chosen: AuditConfig) -> Assessment | None:
    data = load_data(chosen.data, clients=chosen.federation.clients, seed=chosen.seed)
    federation = Federation(data, chosen.model, chosen.federation, chosen.seed)
    request = make_request(chosen.unlearning, data, seed=chosen.seed)
    original = train(federation, history=folder / "history")
    unlearned = unlearn(original, federation, request, chosen.unlearning, history=folder / "history")
    before, after = (
        load_parameters(federation.network(), result.parameters) for result in (original, unlearned)
    )
    proofs = prove(before, after, data.train.subset(request.rows))
    with Run.open(folder / "run", chosen, console=Console(quiet=True), replace=True) as run:
        return infer_membership(
            run,
            chosen,
            federation,
            request,
            original,
            unlearned,
            oracle=ModelOracle(before, after),
            issued=proofs,
        )


@pytest.mark.parametrize("method", ["retrain", "federaser"])
def test_shadow_federations_train_and_unlearn_by_the_audits_method(tmp_path: Path, method: str) -> None:
    chosen = config(membership={"shadows": 2, "pairs": 5}, unlearning={"method": method})
    assessment = inferred(tmp_path, chosen)
    assert assessment is not None
    assert assessment.shadows == 2
    assert len(assessment.forgotten) == len(assessment.retained) == 5
    assert assessment.find("u-lira", "forgotten", "unlearned") is not None
    by_proof = assessment.find("proof", "forgotten", "unlearned")
    assert by_proof is not None
    assert by_proof.roc.auc.value == 1.0
    assert not (tmp_path / "run" / ".unfinished").exists() or not any(
        (tmp_path / "run" / ".unfinished").iterdir()
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"defenses": [{"name": "project", "dimensions": 64}]},
        {"defenses": [{"name": "orthogonal"}]},
        {"proofs": {"granularity": "client"}},
    ],
)
def test_proofs_are_compared_only_if_each_shows_one_sample_undefended(
    tmp_path: Path, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = inferred(tmp_path, config(membership={"shadows": 2, "pairs": 5}))
    # The shadow federations do not depend on defenses and groups.
    monkeypatch.setattr(stage, "train_shadow", None)
    assessment = inferred(tmp_path, config(membership={"shadows": 2, "pairs": 5}, **changes))
    assert first is not None
    assert assessment is not None
    assert first.find("proof", "forgotten", "unlearned") is not None
    assert assessment.find("proof", "forgotten", "unlearned") is None
    assert assessment.find("u-lira", "forgotten", "unlearned") is not None


def test_a_finished_stage_is_reused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = config(membership={"shadows": 2, "pairs": 5})
    first = inferred(tmp_path, chosen)
    monkeypatch.setattr(stage, "train_shadow", None)
    again = inferred(tmp_path, chosen)
    assert first is not None
    assert again is not None
    for one, other in zip(first.results, again.results, strict=True):
        assert torch.equal(one.members, other.members)


def test_without_shadow_federations_nothing_is_computed(tmp_path: Path) -> None:
    assert inferred(tmp_path, config()) is None
    assert not (tmp_path / "run" / "membership.safetensors").exists()


def test_the_number_of_shadow_federations_is_even() -> None:
    with pytest.raises(ConfigurationError, match=r"membership\.shadows"):
        config(membership={"shadows": 3})
