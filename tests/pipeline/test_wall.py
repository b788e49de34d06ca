"""No attack can reach a forgotten sample, neither in an audit nor if the truth is supplied for scoring."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tests.support.forgotten import Forgotten
from tests.support.wall_cases import (
    AUDITORS,
    FIRST_LAYER,
    SERVERS,
    TABLES,
    audit_of,
    least,
    samples_at,
    server_case,
    table_case,
)
from tests.support.wall_probe import WallProbe
from torch import Tensor

import palimpsest.pipeline.audit
from palimpsest.artifacts import ArtifactsConfig
from palimpsest.attacks import AuditorView
from palimpsest.config import AttackConfig, AuditConfig, ProofsConfig
from palimpsest.datasets import FederatedData, load_data
from palimpsest.oracles import ModelOracle
from palimpsest.pipeline.attack import attack
from palimpsest.pipeline.audit import audit
from palimpsest.registry import ATTACKS
from palimpsest.runs import Run
from palimpsest.unlearning import make_request

GROUPS = 2
"""Calls in an audit on the gradient differences of retained and of never-trained samples."""
LEARNED = {"learn": 2, "invert": 4}
"""Calls on defended proofs: by attackers with and without knowledge of the defense, on undefended proofs, and on the
proofs of the positive control."""


@pytest.fixture(autouse=True)
def _without_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no page, which takes longer than a small audit and follows its last attack."""
    monkeypatch.setattr("palimpsest.pipeline.results.finish.write_page", lambda *_: None)


def truth_of(config: AuditConfig) -> tuple[FederatedData, Tensor]:
    """Return an audit's data, and the images that it forgets."""
    data = load_data(config.data, clients=config.federation.clients, seed=config.seed)
    return data, data.train.images[make_request(config.unlearning, data, seed=config.seed).rows]


@pytest.fixture(scope="module")
def forgotten() -> Forgotten:
    """The images that every audit in this file forgets; the attacker's images are different."""
    data, images = truth_of(audit_of("igf"))
    found = Forgotten(images)
    assert found.in_tensor(data.train.images)
    for name, others in (("auxiliary", data.auxiliary), ("held out", data.held_out), ("public", data.public)):
        assert not found.in_tensor(others.images), f"a forgotten image is also among those {name}"
    return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished audit, whose two trainings the other audits reuse."""
    return audit(audit_of("dragd"), out=tmp_path_factory.mktemp("trained") / "run").folder


def watched(name: str, forgotten: Forgotten, monkeypatch: pytest.MonkeyPatch) -> WallProbe:
    probe = WallProbe(forgotten)
    probe.watch(ATTACKS.get(name), monkeypatch)
    return probe


@pytest.mark.parametrize("name", AUDITORS)
def test_an_audit_by_an_auditor(
    name: str, forgotten: Forgotten, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = watched(name, forgotten, monkeypatch)
    audit(audit_of(name), out=tmp_path / "run", siblings=[trained])
    assert probe.calls == LEARNED | {"invert": LEARNED["invert"] + GROUPS}
    assert not probe.leaks


@pytest.mark.parametrize("name", SERVERS)
def test_an_audit_by_a_server(
    name: str, forgotten: Forgotten, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name in FIRST_LAYER:
        forgotten = Forgotten(truth_of(audit_of(name))[1], affine=False)
    probe = watched(name, forgotten, monkeypatch)
    # The finished audit used dragd, so its attack would be reused instead of run.
    audit(audit_of(name), out=tmp_path / "run", siblings=[trained] if name != "dragd" else [])
    # One call on the gradients that the clients send, one on those before the defense, and one on the positive control.
    assert probe.calls == {"__call__": 3}
    assert not probe.leaks


@pytest.mark.parametrize("name", ["igf", "dragd"])
def test_an_audit_without_defenses(
    name: str, forgotten: Forgotten, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = watched(name, forgotten, monkeypatch)
    audit(audit_of(name, defenses=()), out=tmp_path / "run", siblings=[trained])
    assert probe.calls == ({"learn": 1, "invert": 2 + GROUPS} if name == "igf" else {"__call__": 2})
    assert not probe.leaks


@pytest.mark.parametrize(
    "proofs", [{"granularity": "client", "group_size": 2}, {"granularity": "federation"}]
)
@pytest.mark.parametrize("defenses", [(), ("sign",)])
def test_an_audit_of_aggregated_proofs(
    proofs: dict[str, Any],
    defenses: tuple[str, ...],
    forgotten: Forgotten,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The auditor receives the groups' sizes, and neither their members nor the mean of a group's images."""
    probe = watched("igf", forgotten, monkeypatch)
    config = audit_of("igf", defenses=defenses).model_copy(update={"proofs": ProofsConfig(**proofs)})
    result = audit(config, out=tmp_path / "run", siblings=[trained])
    assert result.metrics.aggregation is not None
    assert result.metrics.aggregation.smallest >= 1
    rounds = 2 if defenses else 1
    assert probe.calls["learn"] == rounds
    assert probe.calls["invert"] >= rounds
    assert not probe.leaks


@pytest.mark.parametrize("name", AUDITORS)
@pytest.mark.parametrize("defenses", [[], ["sign"]])
def test_an_attack_on_proofs_with_the_truth_supplied(
    name: str,
    defenses: list[str],
    case: Callable[..., ArtifactsConfig],
    here: Path,
    pieces: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    truth = Forgotten(samples_at(pieces / "forgotten").inputs)
    assert not truth.in_tensor(samples_at(pieces / "images").inputs)
    probe = watched(name, truth, monkeypatch)
    config = case(attack=least(name), truth=str(pieces / "forgotten"), defenses=defenses)
    attack(config, out=here / "run")
    assert len(load_file(here / "run" / "reconstructions.safetensors")["images"]) == 12
    assert (here / "run" / "scores.safetensors").exists()
    assert probe.calls == (LEARNED if defenses else {"learn": 1, "invert": 2})
    assert not probe.leaks


@pytest.mark.parametrize("name", TABLES)
def test_an_attack_on_rows_or_tokens_with_the_truth_supplied(
    name: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = table_case(name, here)
    # Proofs legitimately contain multiples of the row: the gradients of the first linear layer.
    truth = Forgotten(samples_at(here / "forgotten.csv").inputs, affine=False)
    assert not truth.in_tensor(samples_at(here / "auxiliary.csv").inputs)
    probe = watched(name, truth, monkeypatch)
    attack(config, out=here / "run")
    assert len(load_file(here / "run" / "reconstructions.safetensors")["images"]) == 4
    assert (here / "run" / "scores.safetensors").exists()
    assert probe.calls == {"__call__": 3}
    assert not probe.leaks


@pytest.mark.parametrize("name", SERVERS)
def test_an_attack_on_gradients_with_the_truth_supplied(
    name: str,
    here: Path,
    pieces: Path,
    models: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = server_case(name, here, pieces, models)
    both = torch.cat([samples_at(here / part).inputs for part in ("forgotten", "retained")])
    truth = Forgotten(both, affine=name not in FIRST_LAYER)
    assert not truth.in_tensor(samples_at(pieces / "images").inputs)
    probe = watched(name, truth, monkeypatch)
    attack(config, out=here / "run")
    assert len(load_file(here / "run" / "reconstructions.safetensors")["images"]) == 6
    assert (here / "run" / "scores.safetensors").exists()
    # One call on the observed gradients, and one on those of the positive control.
    assert probe.calls == {"__call__": 2}
    assert not probe.leaks


def test_the_portfolio_with_the_truth_supplied(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = table_case("linear-layer", here)
    truth = Forgotten(samples_at(here / "forgotten.csv").inputs, affine=False)
    probe = WallProbe(truth)
    for name in ("linear-layer", "igf-rows"):
        probe.watch(ATTACKS.get(name), monkeypatch)
    attack(config.model_copy(update={"attack": AttackConfig()}), out=here / "run")
    assert (here / "run" / "scores-igf-rows.safetensors").exists()
    assert probe.calls["__call__"] >= 4
    assert not probe.leaks


@dataclass(frozen=True)
class LeakingView(AuditorView):
    """A view that holds more than an auditor may know."""

    hint: Any = None


def leak_by_view(images: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        palimpsest.pipeline.audit,
        "AuditorView",
        lambda *held, **named: LeakingView(*held, **named, hint=images),
    )


def leak_by_oracle_attribute(images: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = ModelOracle.__init__

    def build(self: ModelOracle, *arguments: Any, **named: Any) -> None:
        plain(self, *arguments, **named)
        self.__dict__["kept"] = (images * 255).to(torch.uint8)

    monkeypatch.setattr(ModelOracle, "__init__", build)


def leak_by_oracle_closure(images: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = ModelOracle.differences
    kept = images.half()

    def answer(self: ModelOracle, asked: Tensor, labels: Tensor) -> Any:
        assert kept.shape[1:] == asked.shape[1:]
        return plain(self, asked, labels)

    monkeypatch.setattr(ModelOracle, "differences", answer)


def save_npy(images: Tensor, folder: Path) -> None:
    np.save(folder / "kept.npy", images.numpy())


def save_compressed(images: Tensor, folder: Path) -> None:
    np.savez_compressed(folder / "kept.npz", images=images.numpy())


def save_tensors(images: Tensor, folder: Path) -> None:
    save_file({"other": torch.zeros(3), "images": images.double()}, folder / "kept.safetensors")


def save_torch(images: Tensor, folder: Path) -> None:
    torch.save({"images": images}, folder / "kept.pt")


def save_picture(images: Tensor, folder: Path) -> None:
    (folder / "deep").mkdir()
    Image.fromarray((images[1, 0] * 255).to(torch.uint8).numpy()).save(folder / "deep" / "kept.png")


def save_bytes(images: Tensor, folder: Path) -> None:
    (folder / "kept").write_bytes(b"odd" + images[2].numpy().tobytes())


def leak_by_scratch(save: Callable[[Tensor, Path], None]) -> Callable[[Tensor, pytest.MonkeyPatch], None]:
    """A run that leaves the images in the scratch folder of the attack."""

    def leak(images: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
        plain = Run.stage

        def stage(self: Run, name: str, kind: Any, compute: Any, *, key: Any) -> Any:
            def careless(scratch: Path) -> Any:
                scratch.mkdir(parents=True, exist_ok=True)
                save(images, scratch)
                return compute(scratch)

            return plain(self, name, kind, careless if name == "inverter" else compute, key=key)

        monkeypatch.setattr(Run, "stage", stage)

    return leak


@pytest.mark.parametrize(
    "leak",
    [
        leak_by_view,
        leak_by_oracle_attribute,
        leak_by_oracle_closure,
        *map(
            leak_by_scratch, (save_npy, save_compressed, save_tensors, save_torch, save_picture, save_bytes)
        ),
    ],
    ids=["view", "oracle", "closure", "npy", "npz", "safetensors", "torch", "picture", "bytes"],
)
def test_an_audit_that_leaks_is_caught(
    leak: Callable[[Tensor, pytest.MonkeyPatch], None],
    forgotten: Forgotten,
    trained: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Caught(Exception):  # noqa: N818
        """Ends the run once the leak is found."""

    config = audit_of("igf", defenses=())
    leak(truth_of(config)[1], monkeypatch)
    probe = watched("igf", forgotten, monkeypatch)
    look = probe.look

    def look_and_stop(place: str, roots: object) -> None:
        look(place, roots)
        if probe.leaks:
            raise Caught

    monkeypatch.setattr(probe, "look", look_and_stop)
    with pytest.raises(Caught):
        audit(config, out=tmp_path / "run", siblings=[trained])
    assert all(found.startswith("IGF.learn: ") for found in probe.leaks)
