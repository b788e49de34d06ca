import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.support.audits import tiny
from tests.support.forked import ForkServer

from palimpsest.config import AuditConfig
from palimpsest.datasets import ImageSet, load_data
from palimpsest.errors import KnowledgeError, PalimpsestError, RunError
from palimpsest.federation import Federation, Training
from palimpsest.models import load_parameters
from palimpsest.oracles import ModelOracle
from palimpsest.pipeline.audit import audit
from palimpsest.proofs import load_proofs
from palimpsest.storage import file_hash
from palimpsest.unlearning import Unlearning, make_request

FILES = (
    "original",
    "unlearned",
    "proofs",
    "verdicts",
    "inverter",
    "reconstructions",
    "linkage",
    "scores-linkage",
    "soundness",
    "permutation-test",
    "scores",
    "forgetting",
)


def bits(folder: Path) -> dict[str, str]:
    return {name: file_hash(folder / f"{name}.safetensors") for name in FILES}


def without_seconds(metrics: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in metrics.items() if key != "seconds"}


def differences_of(folder: Path, samples: ImageSet) -> torch.Tensor:
    """The gradient differences by the two models of a finished run."""
    data = load_data(tiny().data, clients=4, seed=1234)
    federation = Federation(data, tiny().model, tiny().federation, 1234, "cpu")
    original = Training.load(folder / "original.safetensors").parameters
    unlearned = Unlearning.load(folder / "unlearned.safetensors").parameters
    models = [load_parameters(federation.network(), parameters) for parameters in (original, unlearned)]
    return torch.cat(list(ModelOracle(*models).differences(samples.images, samples.labels)))


def test_the_run_folder_holds_everything(finished_audit: Path) -> None:
    for name in FILES:
        assert (finished_audit / f"{name}.safetensors").is_file()
    for name in ("config.yaml", "manifest.json", "metrics.json", "report.html"):
        assert (finished_audit / name).is_file()


def test_proofs_equal_the_answers_of_the_auditors_oracle(finished_audit: Path) -> None:
    proofs = load_proofs(finished_audit / "proofs.safetensors")
    data = load_data(tiny().data, clients=4, seed=1234)
    forgotten = data.train.subset(make_request(tiny().unlearning, data, seed=1234).rows)
    assert proofs.vectors.shape[0] == 12
    assert (proofs.vectors.norm(dim=1) > 0).all()
    torch.testing.assert_close(proofs.vectors, differences_of(finished_audit, forgotten))
    assert json.loads(proofs.metadata["defenses"]) == []
    assert proofs.metadata["loss"] == "cross_entropy"


def test_two_runs_of_one_seed_are_equal(finished_audit: Path, tmp_path: Path) -> None:
    again = audit(tiny(), out=tmp_path / "again")
    assert bits(again.folder) == bits(finished_audit)
    assert without_seconds(again.metrics.tree()) == without_seconds(
        json.loads((finished_audit / "metrics.json").read_text())
    )


def test_another_seed_gives_other_results(finished_audit: Path, tmp_path: Path) -> None:
    config = tiny().model_copy(update={"seed": 5})
    other = bits(audit(config, out=tmp_path / "other").folder)
    # Every proof is linked to its sample, whatever the seed.
    same = other.pop("scores-linkage")
    assert not set(other.values()) & (set(bits(finished_audit).values()) - {same})


@pytest.mark.parametrize(
    "last", ["original", "unlearned", "forgetting", "proofs", "verdicts", "reconstructions"]
)
def test_a_run_that_stopped_after_any_stage_resumes_with_the_same_results(
    finished_audit: Path, tmp_path: Path, last: str
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished_audit, folder)
    order = list(json.loads((folder / "manifest.json").read_text())["stages"])
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in order[order.index(last) + 1 :]:
        del manifest["stages"][name]
        (folder / f"{name}.safetensors").unlink()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    for name in ("metrics.json", "report.html"):
        (folder / name).unlink()
    audit(tiny(), out=folder)
    assert bits(folder) == bits(finished_audit)
    assert (folder / "report.html").is_file()


def test_a_killed_run_resumes_with_the_same_results(
    finished_audit: Path, tmp_path: Path, forked: ForkServer
) -> None:
    config = tmp_path / "tiny.yaml"
    config.write_text(tiny().to_yaml())
    folder = tmp_path / "run"
    process = forked.start("-m", "palimpsest", "audit", str(config), "--out", str(folder), folder=tmp_path)
    while not (folder / "unlearned.safetensors").exists() and process.is_running():
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert (folder / "original.safetensors").is_file()
    audit(tiny(), out=folder)
    assert bits(folder) == bits(finished_audit)


def test_defended_proofs_are_verified_and_attacked(tmp_path: Path, finished_audit: Path) -> None:
    config = AuditConfig.model_validate(
        {**tiny().model_dump(), "defenses": [{"name": "orthogonal"}, {"name": "sign"}]}
    )
    folder = audit(config, out=tmp_path / "run").folder
    clean, defended = (load_proofs(folder / f"{name}.safetensors") for name in ("proofs", "defended"))
    assert torch.equal(clean.vectors, load_proofs(finished_audit / "proofs.safetensors").vectors)
    assert set(defended.vectors.unique().tolist()) <= {-1.0, 0.0, 1.0}
    assert [defense["name"] for defense in json.loads(defended.metadata["defenses"])] == [
        "orthogonal",
        "sign",
    ]
    norms = load_file(folder / "verdicts.safetensors")["norms"]
    torch.testing.assert_close(norms, defended.vectors.norm(dim=1))


def test_rejects_an_attack_without_its_knowledge_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from palimpsest.attacks import IGF, Knowledge

    monkeypatch.setattr(IGF, "knowledge", frozenset({Knowledge.LABELS}))
    with pytest.raises(KnowledgeError, match="labels of the forgotten"):
        audit(tiny(), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_another_configuration_leaves_a_finished_run_intact(finished_audit: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(finished_audit, folder)
    with pytest.raises(RunError, match="another configuration"):
        audit(tiny(attack={"epochs": 3}), out=folder)
    assert bits(folder) == bits(finished_audit)


def test_rejects_an_impossible_request_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(PalimpsestError, match="100,000"):
        audit(tiny(unlearning={"count": 100000}), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_forgets_the_requested_samples(finished_audit: Path) -> None:
    data = load_data(tiny().data, clients=4, seed=1234)
    request = make_request(tiny().unlearning, data, seed=1234)
    assert torch.equal(load_file(finished_audit / "unlearned.safetensors")["forgotten"], request.rows)
