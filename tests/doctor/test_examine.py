from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file

from palimpsest.artifacts import CaseConfig, Models, load_auditor_artifacts, load_samples
from palimpsest.artifacts.config import ProveConfig
from palimpsest.cli import main
from palimpsest.config import validate
from palimpsest.datasets import ImageSet
from palimpsest.doctor import Finding, Level, examine
from palimpsest.errors import PalimpsestError
from palimpsest.gradients import gradient_differences, per_sample_gradients
from palimpsest.models import Normalised, read_state_dict
from palimpsest.pipeline.attack import attack
from palimpsest.pipeline.stages.prove import make_proofs
from palimpsest.proofs import Proofs, load_proofs, save_proofs

Make = Callable[..., CaseConfig]


def examined(config: CaseConfig, folder: Path) -> list[Finding]:
    return list(examine(config, folder=folder))


def told(findings: list[Finding], level: Level) -> str:
    return "\n".join(f"{one.piece}: {one.sentence}" for one in findings if one.level is level)


def test_a_case_that_fits_has_no_fault(case: Make, here: Path, pieces: Path) -> None:
    findings = examined(case(truth=str(pieces / "forgotten")), here)
    assert told(findings, Level.FAULT) == ""
    fitting = told(findings, Level.FITS)
    for words in (
        "true images score zero",
        "score an MSE of 0.",
        "names and shapes as the network has them",
        "They name the original checkpoint",
        "running statistics",
        "dropout layers, which are off",
        "A proof has a number for each",
        "asks about at most 96 samples",
        "within the memory budget",
    ):
        assert words in fitting
    assert list(here.glob("oracle*")) == []


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"proofs": "nowhere.safetensors"}, "There is no proof file"),
        ({"original": "nowhere.pt"}, "There is no checkpoint"),
        ({"model_arguments": {"width": 5}}, "0.weight is [4, 1, 3, 3], the network's is [5, 1, 3, 3]"),
        ({"model_arguments": {"classes": 2}}, "set model_arguments"),
        ({"model": "torch.nn:Identity"}, "The network has no 0.bias, 0.weight"),
        ({"auxiliary": "nowhere/"}, "nowhere"),
        ({"attack": {"name": "dragd"}}, "attack from the server"),
        ({"oracle": {"source": "own_nets:not_a_module"}}, "not_a_module"),
    ],
)
def test_each_piece_that_does_not_fit_is_a_fault(
    case: Make, here: Path, pieces: Path, keys: dict[str, Any], words: str
) -> None:
    assert words in told(examined(case(**keys), here), Level.FAULT)


@pytest.mark.parametrize(
    "keys",
    [
        {"original": "pickled.pt"},
        {"model": "own_nets:Nett"},
        {"model_arguments": {"width": 5}},
        {"mean": [0.5], "std": [0.5, 0.5]},
        {"auxiliary": "colour"},
    ],
    ids=lambda keys: next(iter(keys)),
)
def test_models_that_can_not_be_had_are_no_fault_of_the_oracle_or_the_truth(
    case: Make, here: Path, pieces: Path, keys: dict[str, Any]
) -> None:
    torch.save(torch.nn.ReLU(), here / "pickled.pt")
    for label in range(3):
        (here / "colour" / f"class{label}").mkdir(parents=True)
        Image.new("RGB", (8, 8), "red").save(here / "colour" / f"class{label}" / "0.png")
    findings = examined(case(truth=str(pieces / "forgotten"), **keys), here)
    assert {one.piece for one in findings if one.level is Level.FAULT} <= {"model", "original", "unlearned"}
    assert told(findings, Level.FAULT)


def test_one_fault_does_not_hide_another(case: Make, here: Path) -> None:
    faults = told(examined(case(proofs="nowhere", original="nowhere"), here), Level.FAULT)
    assert "proof file" in faults
    assert "checkpoint" in faults


def test_the_same_checkpoint_twice_is_a_fault(case: Make, here: Path, pieces: Path) -> None:
    both = case(unlearned=str(pieces / "original.pt"))
    assert "every proof is zero" in told(examined(both, here), Level.FAULT)


def test_exchanged_checkpoints_are_found_out(case: Make, here: Path, pieces: Path) -> None:
    paths = {"original": str(pieces / "unlearned.safetensors"), "unlearned": str(pieces / "original.pt")}
    faults = told(examined(case(truth=str(pieces / "forgotten"), **paths), here), Level.FAULT)
    assert "exchange original and unlearned" in faults
    assert "exchange the checkpoints" in faults


def test_the_doctor_and_the_attack_agree_that_one_image_is_too_few(case: Make, here: Path) -> None:
    (here / "one" / "class0").mkdir(parents=True)
    Image.new("L", (8, 8), 100).save(here / "one" / "class0" / "0.png")
    assert "and there is one: give many" in told(examined(case(auxiliary="one"), here), Level.FAULT)
    with pytest.raises(PalimpsestError, match="at least two"):
        attack(case(auxiliary="one"), out=here / "run")


def test_grey_images_fit_a_colour_model_where_that_is_said(case: Make, here: Path, pieces: Path) -> None:
    (here / "own_nets.py").write_text(
        "from torch import nn\ndef colour(): return nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 3))\n"
    )
    state = {"1.weight": torch.randn(3, 192), "1.bias": torch.zeros(3)}
    save_file(state, here / "a.safetensors")
    save_file({name: value + 0.1 for name, value in state.items()}, here / "b.safetensors")
    keys = {"original": "a.safetensors", "unlearned": "b.safetensors", "model": "own_nets:colour"}
    proving = keys | {"samples": str(pieces / "forgotten"), "channels": 3}
    save_proofs("colour.safetensors", make_proofs(validate(ProveConfig, proving, where="test")))
    brought = keys | {"proofs": "colour.safetensors", "truth": str(pieces / "forgotten")}
    refused = told(examined(case(**brought), here), Level.FAULT)
    assert "Sequential can't take images of shape (1, 8, 8)" in refused
    assert "set image_size or channels" in refused
    findings = examined(case(**brought, channels=3), here)
    assert told(findings, Level.FAULT) == ""
    assert "true images score zero" in told(findings, Level.FITS)


def test_what_is_lost_without_the_truth_is_said(case: Make, here: Path) -> None:
    assert "nothing is scored" in told(examined(case(), here), Level.MIND)


def test_statistics_that_were_not_saved_are_noticed(case: Make, here: Path, pieces: Path) -> None:
    state = read_state_dict(pieces / "original.pt")
    state["1.num_batches_tracked"].zero_()
    save_file(state, here / "fresh.safetensors")
    assert "never counted a batch" in told(examined(case(original="fresh.safetensors"), here), Level.MIND)


@pytest.fixture
def both(case: Make, here: Path) -> Models:
    models = load_auditor_artifacts(case(), folder=here, data_dir=None, device="cpu").models
    assert models is not None
    return models


@pytest.fixture
def truth(pieces: Path) -> ImageSet:
    return load_samples(str(pieces / "forgotten")).samples


def in_training(model: torch.nn.Module, truth: ImageSet) -> torch.Tensor:
    model.train()
    rows = []
    for image, label in zip(truth.images, truth.labels, strict=True):
        loss = F.cross_entropy(model(image[None]), label[None])
        rows.append(torch.cat([one.flatten() for one in torch.autograd.grad(loss, list(model.parameters()))]))
    return torch.stack(rows)


def alphabetical(vectors: torch.Tensor, model: torch.nn.Module) -> torch.Tensor:
    sizes = {name: one.numel() for name, one in model.named_parameters()}
    pieces = dict(zip(sizes, vectors.split(list(sizes.values()), 1), strict=True))
    return torch.cat([pieces[name] for name in sorted(pieces)], 1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda honest, *_: -honest, "change their sign"),
        (lambda honest, *_: honest * 12, "12 times as long"),
        (lambda honest, *_: honest.flip(0), "another order than the images"),
        (
            lambda _, both, truth: per_sample_gradients(both.original, truth.images, truth.labels),
            "original model's",
        ),
        (
            lambda _, both, truth: per_sample_gradients(both.unlearned, truth.images, truth.labels),
            "unlearned model's",
        ),
        (lambda honest, both, _: alphabetical(honest, both.original), "alphabetical order"),
        (
            lambda _, both, truth: gradient_differences(
                *(Normalised(one, [0.5], [0.5]) for one in (both.original, both.unlearned)),
                truth.images,
                truth.labels,
            ),
            r"images in [-1, 1]",
        ),
        (lambda honest, *_: torch.rand_like(honest), "check the images' order"),
    ],
)
def test_what_was_done_otherwise_is_found_out(
    case: Make, pieces: Path, both: Models, make: Callable[..., torch.Tensor], words: str
) -> None:
    truth, here = load_samples(str(pieces / "forgotten")).samples, Path.cwd()
    honest = gradient_differences(both.original, both.unlearned, truth.images, truth.labels)
    save_proofs(here / "other.safetensors", Proofs(make(honest, both, truth)))
    config = case(proofs="other.safetensors", truth=str(pieces / "forgotten"))
    assert words in told(examined(config, here), Level.FAULT)


def test_training_mode_is_found_out(
    case: Make, here: Path, pieces: Path, both: Models, truth: ImageSet
) -> None:
    for model in (both.original, both.unlearned):
        model[4].p = 0.0  # type: ignore[index]
    made = in_training(both.original, truth) - in_training(both.unlearned, truth)
    save_proofs(here / "training.safetensors", Proofs(made.detach()))
    (here / "own_nets.py").write_text(
        (here / "own_nets.py").read_text().replace("Dropout(0.5)", "Dropout(0)")
    )
    __import__("sys").modules.pop("own_nets")
    config = case(proofs="training.safetensors", truth=str(pieces / "forgotten"))
    assert "made in training mode" in told(examined(config, here), Level.FAULT)


def test_an_oracle_in_another_order_is_found_out(case: Make, here: Path, both: Models) -> None:
    everything = load_auditor_artifacts(case(), folder=here, data_dir=None, device="cpu").auxiliary
    vectors = gradient_differences(both.original, both.unlearned, everything.images, everything.labels)
    save_proofs(here / "right.safetensors", Proofs(vectors))
    save_proofs(here / "wrong.safetensors", Proofs(vectors.flip(0)))
    right = examined(case(oracle={"source": "right.safetensors"}), here)
    assert "answers are the checkpoints'" in told(right, Level.FITS)
    assert "of the 96 that it would ask" in told(right, Level.MIND)
    wrong = examined(case(oracle={"source": "wrong.safetensors"}), here)
    assert "answers are not the checkpoints'" in told(wrong, Level.FAULT)


def test_an_oracle_that_answers_a_question_in_two_ways_is_found_out(
    case: Make, here: Path, both: Models
) -> None:
    length = sum(parameter.numel() for parameter in both.original.parameters())
    (here / "moody.py").write_text(
        "import torch\ncalls = []\ndef answer(images, labels):\n    calls.append(1)\n"
        f"    return torch.full((len(images), {length}), float(len(calls)))\n"
    )
    said = told(examined(case(oracle={"source": "moody:answer"}), here), Level.FAULT)
    assert "answers the same questions in two ways" in said


def test_a_wrong_normalisation_and_numbering_are_guessed(
    case: Make, here: Path, pieces: Path, truth: ImageSet
) -> None:
    """A model that recognises each class by the distance to its mean image, of images in [-1, 1]."""
    means = torch.stack([truth.images[truth.labels == label].mean(0).flatten() for label in range(3)]) * 2 - 1
    state = {"1.weight": 2 * means, "1.bias": -means.square().sum(1)}
    save_file(state, here / "a.safetensors")
    save_file({name: value * 0.99 for name, value in state.items()}, here / "b.safetensors")
    (here / "own_nets.py").write_text(
        "from torch import nn\ndef nearest(classes=3): return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))\n"
    )
    keys: dict[str, Any] = {
        "original": "a.safetensors",
        "unlearned": "b.safetensors",
        "model": "own_nets:nearest",
    }
    scaled = {"mean": [0.5], "std": [0.5]}
    assert "recognises 100.0%" in told(examined(case(**keys, **scaled), here), Level.FITS)
    unsaid = told(examined(case(**keys), here), Level.MIND)
    assert "set --mean 0." in unsaid
    renamed = case(**keys, **scaled, class_names=["class2", "class0", "class1"])
    assert "numbered in another way it would be 100.0%" in told(examined(renamed, here), Level.MIND)


def test_the_command_ends_with_code_2_where_there_is_a_fault(
    proofs: Path, pieces: Path, models: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    keys = [part for name in ("original", "unlearned", "model") for part in (f"--{name}", models[name])]
    common = ["doctor", *keys, "--auxiliary", str(pieces / "images"), "--attack.beta", "0"]
    with pytest.raises(SystemExit) as stop:
        main([*common, "--proofs", str(proofs)])
    assert not stop.value.code
    assert "fits" in capsys.readouterr().out
    save_proofs(Path("short.safetensors"), Proofs(load_proofs(proofs).vectors[:, :-3]))
    with pytest.raises(SystemExit) as stop:
        main([*common, "--proofs", "short.safetensors"])
    assert stop.value.code == 2
    captured = capsys.readouterr()
    assert "5.bias" in captured.out
    assert "must be put right" in captured.err
