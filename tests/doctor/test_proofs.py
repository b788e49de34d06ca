from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from tests.support.artifacts import Make
from tests.support.findings import examined, sentences

from palimpsest.artifacts import Models, load_samples
from palimpsest.datasets import ImageSet
from palimpsest.doctor import Level
from palimpsest.doctor.proofs import check_dimension, check_vectors
from palimpsest.gradients import gradient_differences, per_sample_gradients
from palimpsest.models import Normalized
from palimpsest.proofs import Proofs, save_proofs


def test_warns_about_zero_unattested_and_defended_proofs() -> None:
    vectors = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    bare, named = Proofs(vectors), Proofs(vectors, {"defenses": '["sign"]'})
    warnings = [sentences(list(check_vectors(proofs)), Level.WARNING) for proofs in (bare, named)]
    assert all("1 of them are zero" in text for text in warnings)
    assert ["They are unattested" in text for text in warnings] == [True, False]
    assert ['names the defenses ["sign"]' in text for text in warnings] == [False, True]


def test_compares_a_proofs_length_with_the_networks() -> None:
    network = torch.nn.Linear(4, 3)
    (right,) = check_dimension(Proofs(torch.rand(2, 15)), network)
    assert right.level is Level.OK
    (short,) = check_dimension(Proofs(torch.rand(2, 12)), network)
    assert short.level is Level.ERROR
    assert "A proof has 12 numbers, but the network has 15 parameters" in short.message
    assert "bias" in short.message
    network.bias.requires_grad_(False)
    (trained,) = check_dimension(Proofs(torch.rand(2, 12)), network)
    assert trained.message == "A proof has one number for each of the 12 trainable parameters."
    (whole,) = check_dimension(Proofs(torch.rand(2, 15)), network)
    assert whole.level is Level.WARNING
    assert "3 of them are frozen" in whole.message


def test_detects_exchanged_checkpoints(case: Make, here: Path, pieces: Path) -> None:
    paths = {"original": str(pieces / "unlearned.safetensors"), "unlearned": str(pieces / "original.pt")}
    errors = sentences(examined(case(truth=str(pieces / "forgotten"), **paths), here), Level.ERROR)
    assert "Exchange --original and --unlearned" in errors
    assert "Exchange the checkpoints" in errors


def in_training(model: torch.nn.Module, truth: ImageSet) -> torch.Tensor:
    model.train()
    rows = []
    for image, label in zip(truth.images, truth.labels, strict=True):
        loss = F.cross_entropy(model(image[None]), label[None])
        rows.append(torch.cat([one.flatten() for one in torch.autograd.grad(loss, list(model.parameters()))]))
    return torch.stack(rows)


def alphabetical(vectors: torch.Tensor, model: torch.nn.Module) -> torch.Tensor:
    sizes = {name: one.numel() for name, one in model.named_parameters()}
    blocks = dict(zip(sizes, vectors.split(list(sizes.values()), 1), strict=True))
    return torch.cat([blocks[name] for name in sorted(blocks)], 1)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda honest, *_: -honest, "change the proofs' sign"),
        (lambda honest, *_: honest * 12, "12 times as long"),
        (lambda honest, *_: honest.flip(0), "another order than the true samples"),
        (
            lambda _, both, truth: per_sample_gradients(both.original, truth.images, truth.labels),
            "gradients of the original model",
        ),
        (
            lambda _, both, truth: per_sample_gradients(both.unlearned, truth.images, truth.labels),
            "gradients of the unlearned model",
        ),
        (lambda honest, both, _: alphabetical(honest, both.original), "alphabetical order"),
        (
            lambda _, both, truth: gradient_differences(
                *(Normalized(one, [0.5], [0.5]) for one in (both.original, both.unlearned)),
                truth.images,
                truth.labels,
            ),
            r"images in [-1, 1]",
        ),
        (lambda honest, *_: torch.rand_like(honest), "Check the images' order"),
    ],
)
def test_detects_the_cause_of_other_proofs(
    case: Make, pieces: Path, both: Models, make: Callable[..., torch.Tensor], words: str
) -> None:
    truth, here = load_samples(str(pieces / "forgotten")).samples, Path.cwd()
    honest = gradient_differences(both.original, both.unlearned, truth.images, truth.labels)
    save_proofs(here / "other.safetensors", Proofs(make(honest, both, truth)))
    config = case(proofs="other.safetensors", truth=str(pieces / "forgotten"))
    assert words in sentences(examined(config, here), Level.ERROR)


def test_detects_training_mode(case: Make, here: Path, pieces: Path, both: Models, truth: ImageSet) -> None:
    for model in (both.original, both.unlearned):
        model[4].p = 0.0  # type: ignore[index]
    made = in_training(both.original, truth) - in_training(both.unlearned, truth)
    save_proofs(here / "training.safetensors", Proofs(made.detach()))
    (here / "own_nets.py").write_text(
        (here / "own_nets.py").read_text().replace("Dropout(0.5)", "Dropout(0)")
    )
    __import__("sys").modules.pop("own_nets")
    config = case(proofs="training.safetensors", truth=str(pieces / "forgotten"))
    assert "made in training mode" in sentences(examined(config, here), Level.ERROR)
