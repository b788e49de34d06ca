"""Audits with lying clients: they finish, and the report names the liar."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fuzz.workloads import CONFIG

from palimpsest.config import build_config
from palimpsest.errors import DivergenceError, FederationError, PalimpsestError
from palimpsest.federation import Reply, engine
from palimpsest.pipeline.audit import audit

LIAR = 1


def everything(value: float) -> Callable[[Reply], Reply]:
    return lambda reply: replace(
        reply, parameters={name: torch.full_like(tensor, value) for name, tensor in reply.parameters.items()}
    )


LIES: dict[str, tuple[Callable[[Reply], Reply], str]] = {
    "nan": (everything(math.nan), "not finite"),
    "infinity": (everything(math.inf), "not finite"),
    "huge values": (everything(1e30), "too large"),
    "a nan loss": (lambda reply: replace(reply, loss=math.nan), "not finite"),
    "another model's shapes": (
        lambda reply: replace(
            reply, parameters={name: tensor[..., :1] for name, tensor in reply.parameters.items()}
        ),
        "wrong shape",
    ),
    "no parameters": (lambda reply: replace(reply, parameters={}), "empty reply"),
    "an absurd weight": (lambda reply: replace(reply, samples=2**40), "too large"),
    "another client's name": (lambda reply: replace(reply, client=99), "no reply"),
}


@pytest.fixture
def lie(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Reply], Reply]], None]:
    """Return a function that makes one client change its replies."""

    def install(change: Callable[[Reply], Reply]) -> None:
        honest = engine.answer

        def answer(model: torch.nn.Module, client: int, *rest: object) -> Reply:
            reply = honest(model, client, *rest)  # pyright: ignore[reportArgumentType]
            return change(reply) if client == LIAR and reply.samples else reply

        monkeypatch.setattr(engine, "answer", answer)

    return install


@pytest.mark.parametrize("name", sorted(LIES))
def test_a_lying_client_is_excluded_and_named(
    name: str, lie: Callable[[Callable[[Reply], Reply]], None], tmp_path: Path
) -> None:
    change, reason = LIES[name]
    lie(change)
    config = build_config({**CONFIG, "federation": {"clients": 4, "fraction": 1.0, "rounds": 2}})
    result = audit(config, out=tmp_path / "run")
    excluded = result.metrics.excluded_replies
    assert excluded[LIAR] == {reason: 4}
    assert set(excluded) == ({LIAR, 99} if name == "another client's name" else {LIAR})
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["excluded_replies"][str(LIAR)] == {
        reason: 4
    }
    report = (tmp_path / "run" / "report.html").read_text()
    assert f"Replies of client {LIAR} were excluded from training: {reason} (2 times)." in report
    assert result.metrics.federation.participation[LIAR] == 0
    assert math.isfinite(result.metrics.reconstruction.mse)


def test_a_federation_of_liars_ends_with_an_error_that_names_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    honest = engine.answer
    monkeypatch.setattr(engine, "answer", lambda *arguments: replace(honest(*arguments), parameters={}))
    with pytest.raises(FederationError, match="client 1: empty reply"):
        audit(build_config(CONFIG), out=tmp_path / "run")
    assert not (tmp_path / "run" / "report.html").exists()


@pytest.mark.parametrize(
    "settings",
    [
        {"federation": {"clients": 4, "fraction": 1.0, "rounds": 2, "learning_rate": 1e12}},
        {
            "attack": {
                "name": "igf",
                "beta": 0,
                "epochs": 2,
                "width": 8,
                "components": 8,
                "learning_rate": 1e30,
            }
        },
    ],
)
def test_a_diverging_training_ends_with_an_error_and_no_report(
    settings: dict[str, dict[str, float]], tmp_path: Path
) -> None:
    with pytest.raises(PalimpsestError, match="learning_rate") as raised:
        audit(build_config({**CONFIG, **settings}), out=tmp_path / "run")
    assert isinstance(raised.value, DivergenceError | FederationError)
    assert not (tmp_path / "run" / "report.html").exists()
    assert not (tmp_path / "run" / "metrics.json").exists()
