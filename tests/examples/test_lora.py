"""The fine-tuning with LoRA: proofs of the adapter alone, through Flower's messages and through its simulation."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.support.environments import Environment
from tests.support.flower_app import Local

from palimpsest.artifacts import ArtifactsConfig, load_auditor_artifacts, read_artifacts_config
from palimpsest.artifacts.attestation import named_models
from palimpsest.artifacts.config import ProveConfig
from palimpsest.config import validate
from palimpsest.doctor import examine
from palimpsest.errors import CheckpointError
from palimpsest.gradients import trainable_parameters
from palimpsest.pipeline.attack import attack
from palimpsest.pipeline.stages.prove import make_proofs
from palimpsest.proofs import Proofs, load_proofs, save_proofs
from palimpsest.system.torchvision_compat import declare_operators

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'palimpsest-audit[flower]'")
pytestmark = [
    # PEFT imports transformers, which takes seconds, so it is not imported while tests are collected.
    pytest.mark.skipif(
        find_spec("peft") is None, reason="PEFT is not installed: pip install 'palimpsest-audit[dev]'"
    ),
    pytest.mark.filterwarnings("ignore::FutureWarning:transformers"),
]
EXAMPLE = Path(__file__).parents[2] / "examples" / "lora"
SMALL = {"name": "igf-plus", "beta": 0, "queries": 1, "epochs": 1, "width": 16}
NAMED = {
    "original": "audit/original.safetensors",
    "unlearned": "audit/unlearned.safetensors",
    "model": "app.task:Net",
}
TRAINED = 2 * 2 * 2 * 4 * 32 + 10 * 33


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder of the example after training, unlearning and proving in this process; also the working directory."""
    # transformers imports torchvision if it is installed, also beside a build of torch that does not match.
    declare_operators()
    from flwr.app import ArrayRecord, ConfigRecord
    from flwr.serverapp.strategy import FedAvg
    from peft import get_peft_model_state_dict

    from palimpsest.federation.flower_strategy import _task_identity
    from palimpsest.flower import Audited

    folder = tmp_path_factory.mktemp("lora") / "lora"
    shutil.copytree(EXAMPLE, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(str(folder))
        from app.client import app as client  # pyright: ignore[reportMissingImports]
        from app.task import Net  # pyright: ignore[reportMissingImports]
        from auditor import main  # pyright: ignore[reportMissingImports]

        strategy, grid = Audited(FedAvg(fraction_evaluate=0.0), "audit"), Local(client)
        initial = ArrayRecord(get_peft_model_state_dict(Net()))
        with _task_identity():
            for more in ({}, {"unlearn": True}):
                config = ConfigRecord({"local-epochs": 1, "learning-rate": 0.003, **more})
                strategy.start(grid, initial, num_rounds=1, train_config=config)
        main()
        yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] in ("app", "auditor")]:
        del sys.modules[name]


def network() -> Any:
    from app.task import Net  # pyright: ignore[reportMissingImports]

    return Net().eval()


def with_adapter(part: str | Path) -> Any:
    """Return the network with a checkpoint of the trained part, as PEFT reads it."""
    from peft import set_peft_model_state_dict

    model = network()
    set_peft_model_state_dict(model, load_file(part))
    return model


def case(**keys: Any) -> ArtifactsConfig:
    tree = {"proofs": "audit/proofs.safetensors", "auxiliary": "images", "truth": "forgotten"} | NAMED
    tree |= {"attack": SMALL, "scoring": {"bootstrap": 10}, "auxiliary_size": 60, "device": "cpu"}
    return read_artifacts_config(None, tree | keys)


def prove(**keys: Any) -> Proofs:
    return make_proofs(validate(ProveConfig, NAMED | {"samples": "forgotten"} | keys, where="test"))


def complete(part: str) -> dict[str, torch.Tensor]:
    """Return the whole state dict of a checkpoint of the trained part."""
    return with_adapter(part).state_dict()


def test_a_proof_has_the_adapter_and_the_head_alone() -> None:
    proofs = load_proofs("audit/proofs.safetensors")
    shapes = json.loads(proofs.metadata["trainable"])
    assert proofs.vectors.shape == (30, TRAINED)
    assert sum(torch.Size(shape).numel() for shape in shapes.values()) == TRAINED
    assert all("lora_" in name or "classifier.modules_to_save" in name for name in shapes)
    total = sum(parameter.numel() for parameter in network().parameters())
    assert proofs.metadata["parameters"] == f"{TRAINED} of {total}"
    assert f"{TRAINED:,} of {total:,} parameters" in (EXAMPLE / "README.md").read_text()


def test_the_proofs_are_gradients_by_autograd_and_those_of_prove() -> None:
    proofs = load_proofs("audit/proofs.safetensors")
    from app.task import load_data  # pyright: ignore[reportMissingImports]

    (image, *_), (label, *_) = load_data(0)
    gradients = []
    for which in ("original", "unlearned"):
        model = with_adapter(f"audit/{which}.safetensors")
        torch.nn.functional.cross_entropy(model(image[None]).logits, label[None]).backward()
        gradients.append(torch.cat([one.grad.flatten() for one in trainable_parameters(model).values()]))
    expected = gradients[0] - gradients[1]
    distances = (proofs.vectors - expected).norm(dim=1) / expected.norm()
    assert distances.min() < 1e-3
    torch.testing.assert_close(prove().vectors, proofs.vectors, rtol=1e-2, atol=1e-4)


def test_doctor_and_attack_take_the_files_of_the_adapter(tmp_path: Path) -> None:
    findings = list(examine(case(), folder=tmp_path / "run"))
    assert not [finding for finding in findings if finding.level == "error"]
    messages = " ".join(finding.message for finding in findings)
    assert "The proofs are the true images' gradient differences" in messages
    assert "They name the original checkpoint" in messages
    assert f"{TRAINED:,} trainable parameters" in messages
    held = load_auditor_artifacts(case(), folder=tmp_path, data_dir=None, device="cpu")
    assert held.oracle_source.oracle.dimension == TRAINED
    assert held.models is not None
    assert named_models(held.proofs, held.models) == {"original": True, "unlearned": True}
    assert any("from the network's factory" in note for note in held.notes)
    result = attack(case(), out=tmp_path / "run")
    assert result.metrics.reconstruction is not None


def test_reads_peft_files_like_whole_state_dicts(tmp_path: Path) -> None:
    plain = prove()
    keys = {}
    for which in ("original", "unlearned"):
        save_file(complete(f"audit/{which}.safetensors"), tmp_path / f"{which}.safetensors")
        keys[which] = str(tmp_path / f"{which}.safetensors")
    whole = prove(**keys)
    assert torch.equal(whole.vectors, plain.vectors)
    assert whole.metadata["original"] == plain.metadata["original"]
    model = with_adapter("audit/original.safetensors")
    model.save_pretrained(tmp_path / "adapter")
    saved = prove(original=str(tmp_path / "adapter" / "adapter_model.safetensors"))
    assert torch.equal(saved.vectors, plain.vectors)


def test_refuses_an_adapter_whose_base_model_is_random(folder: Path) -> None:
    text = (folder / "app" / "task.py").read_text().replace("torch.manual_seed(0)", "pass")
    (folder / "app" / "random_task.py").write_text(text)
    with pytest.raises(CheckpointError, match=r"makes its frozen ones anew each time.*merge the adapter"):
        prove(model="app.random_task:Net")


def test_proofs_with_the_frozen_part_are_cut(tmp_path: Path) -> None:
    proofs, model = load_proofs("audit/proofs.safetensors"), network()
    trained, start, blocks = trainable_parameters(model), 0, []
    for name, parameter in model.named_parameters():
        size = parameter.numel()
        if name in trained:
            blocks.append(proofs.vectors[:, start : start + size])
            start += size
        else:
            blocks.append(torch.full((30, size), 7.0))
    save_proofs(tmp_path / "whole.safetensors", Proofs(torch.cat(blocks, 1)))
    held = load_auditor_artifacts(
        case(proofs=str(tmp_path / "whole.safetensors")), folder=tmp_path, data_dir=None, device="cpu"
    )
    assert torch.equal(held.proofs.vectors, proofs.vectors)
    assert any("frozen parameters were cut off" in note for note in held.notes)


def test_auditing_adds_two_lines() -> None:
    for name in ("client", "server"):
        lines = (EXAMPLE / "app" / f"{name}.py").read_text().splitlines()
        assert len([line for line in lines if "# audited" in line]) == 1


def test_the_readme_commands_audit_the_app(
    tmp_path: Path, installed: Callable[..., Environment], readme: Callable[[str], list[str]]
) -> None:
    pytest.importorskip("ray", reason="Flower's simulation needs Ray: pip install 'palimpsest-audit[flower]'")
    folder = tmp_path / "app"
    shutil.copytree(EXAMPLE, folder)
    install, simulate, auditor, doctor, attack = readme("lora")
    assert install == "pip install '../..[flower]' peft transformers"
    environment = installed("palimpsest-audit[flower]", "peft", "transformers")
    (site,) = environment.folder.glob("lib/python*/site-packages")
    # Only the commands of palimpsest make a torchvision importable that does not match torch.
    hook = "import palimpsest.system.torchvision_compat as compat; compat.declare_operators()"
    (site / "torchvision_compat.pth").write_text(hook)
    environment.run(simulate, folder)
    environment.run(auditor, folder)
    deliveries = json.loads((folder / "audit" / "deliveries.json").read_text())
    assert (len(deliveries["owners"]), deliveries["faults"]) == (30, {})
    output = " ".join(environment.run(doctor, folder).stdout.split())
    assert "The proofs are the true images' gradient differences" in output
    small = "--attack.beta 0 --attack.queries 1 --attack.epochs 1 --attack.width 16 --scoring.bootstrap 20"
    environment.run(attack, folder, extra=small)
    assert json.loads((folder / "run" / "metrics.json").read_text())["reconstruction"]["count"] == 30
