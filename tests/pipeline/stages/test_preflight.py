from pathlib import Path
from typing import Any

import pytest
import torch
from tests.support.artifacts import NO_MODELS, Make

import palimpsest
from palimpsest.attacks import DRAGD, IGF, ArchitectView, AuditorView, IGFPlus, Knowledge, ServerView
from palimpsest.config import read_config
from palimpsest.datasets import ImageSet, RowSet
from palimpsest.errors import ConfigurationError, KnowledgeError, MissingDependencyError
from palimpsest.pipeline.stages import preflight
from palimpsest.pipeline.stages.preflight import (
    check_attack_on_artifacts,
    check_groups,
    check_knowledge,
    check_requirements,
    check_samples,
    settle_weights,
)

LABELS = torch.zeros(4, dtype=torch.int64)
ROWS = RowSet("table", torch.rand(4, 2), LABELS, 1, ("a", "b"))


def test_names_the_missing_knowledge(monkeypatch: pytest.MonkeyPatch) -> None:
    check_knowledge(IGF(), AuditorView)
    monkeypatch.setattr(IGF, "knowledge", AuditorView.knowledge | {Knowledge.LABELS, Knowledge.ARCHITECTURE})
    with pytest.raises(
        KnowledgeError,
        match="IGF needs to know the labels of the forgotten samples; the model's architecture, which an auditor",
    ):
        check_knowledge(IGF(), AuditorView)
    with pytest.raises(
        KnowledgeError, match="IGF needs to know the labels of the forgotten samples, which an"
    ):
        check_knowledge(IGF(), ArchitectView)


def test_server_attacks_are_checked_against_the_server_view() -> None:
    check_knowledge(DRAGD(), ServerView)
    with pytest.raises(KnowledgeError, match="which a server does not"):
        check_knowledge(IGF(), ServerView)


def test_rejects_another_kind_of_samples_and_names_suitable_attacks() -> None:
    check_samples("igf", IGF(), ImageSet("drawn", torch.rand(4, 1, 2, 2), LABELS, 1))
    with pytest.raises(
        KnowledgeError, match="igf reconstructs images, but table holds rows of a table"
    ) as stop:
        check_samples("igf", IGF(), ROWS)
    suitable = str(stop.value).partition("Choose ")[2]
    assert "igf-rows" in suitable
    assert "igf-plus" not in suitable
    with pytest.raises(KnowledgeError, match="dragd reconstructs images"):
        check_samples("dragd", DRAGD(), ROWS)


def test_rejects_an_attack_on_single_proofs_if_they_are_aggregated() -> None:
    check_groups("igf-plus", IGFPlus(), aggregated=False)
    check_groups("igf", IGF(), aggregated=True)
    check_groups("dragd", DRAGD(), aggregated=True)
    with pytest.raises(KnowledgeError, match="igf-plus needs a proof for each sample") as stop:
        check_groups("igf-plus", IGFPlus(), aggregated=True)
    suitable = str(stop.value).partition("Choose ")[2]
    assert "igf or lti" in suitable


def check(config: Any) -> None:
    check_attack_on_artifacts(config, config.attack.build())


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"attack": {"name": "dragd"}}, "attack from the server"),
        (NO_MODELS | {"attack": {"name": "igf-white"}}, "architecture"),
        (NO_MODELS | {"attack": {"name": "igf-exact"}}, "parameters"),
    ],
)
def test_rejects_unsuitable_attacks_on_proofs(case: Make, keys: dict[str, Any], words: str) -> None:
    check(case())
    check(case(attack={"name": "igf-white"}))
    with pytest.raises(KnowledgeError, match=words):
        check(case(**keys))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"attack": {"name": "igf"}}, "an auditor's attack"),
        ({"defenses": [{"name": "sign"}]}, "imitates no defense"),
    ],
)
def test_rejects_unsuitable_attacks_on_gradients(
    served: Make, here: Path, keys: dict[str, Any], words: str
) -> None:
    check(served())
    check(served(defenses=["clip-noise", "gaussian"]))
    with pytest.raises(KnowledgeError, match=words):
        check(served(**keys))


def test_missing_weights_switch_the_perceptual_loss_off_unless_downloads_are_allowed(
    case: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    downloads: list[str] = []
    monkeypatch.setattr(preflight, "download_vgg", lambda: downloads.append("vgg"))
    config = case(attack={"name": "igf", "epochs": 3})
    assert config.attack.beta > 0
    settled, notes = settle_weights(config)
    assert (settled.attack.beta, settled.attack.epochs, downloads) == (0, 3, [])
    assert "without the perceptual loss" in notes[0]
    allowed, none = settle_weights(case(attack={"name": "igf"}, download=True))
    assert (allowed.attack.beta, none, downloads) == (config.attack.beta, (), ["vgg"])
    for attack in (
        {"name": "igf", "beta": 0},
        {"name": "igf", "vgg_weights": "vgg.safetensors"},
        {"name": "igf-rows"},
    ):
        unchanged = case(attack=attack)
        assert settle_weights(unchanged) == (unchanged, ())


@pytest.mark.parametrize(
    ("overrides", "package"),
    [
        ({"oracle.engine": "ray"}, "ray"),
        ({"federation.engine": "flower-simulation"}, "flwr"),
        ({"federation.aggregation": "flower"}, "flwr"),
        ({"data.partition": "flower"}, "flwr_datasets"),
    ],
)
def test_names_the_package_and_extra_that_a_setting_needs(
    overrides: dict[str, Any], package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = read_config("digits", overrides)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == package else object())
    with pytest.raises(MissingDependencyError, match=rf"package {package}, .*'palimpsest-audit\[flower\]'"):
        check_requirements(config, data_dir=None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: object())
    assert check_requirements(config, data_dir=None) in ("cpu", "cuda")


def test_an_audit_without_weights_or_data_folder_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "empty"))
    out = tmp_path / "runs" / "refused"
    for keys, data_dir, message in (
        ({"attack.beta": 0.01}, None, "VGG-16's weights"),
        ({}, tmp_path / "missing", "--data-dir is .*missing, but there is no such folder"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            palimpsest.audit("digits", keys, out=out, data_dir=data_dir, quiet=True)
        assert not out.parent.exists()
