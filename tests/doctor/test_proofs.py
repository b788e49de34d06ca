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


def test_zero_unattested_and_defended_proofs_are_minded() -> None:
    vectors = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    bare, named = Proofs(vectors), Proofs(vectors, {"defenses": '["sign"]'})
    minded = [sentences(list(check_vectors(proofs)), Level.WARNING) for proofs in (bare, named)]
    assert all("1 of them are zero" in text for text in minded)
    assert ["they are unattested" in text for text in minded] == [True, False]
    assert ['names the defenses ["sign"]' in text for text in minded] == [False, True]


def test_the_length_of_a_proof_is_compared_with_the_networks() -> None:
    network = torch.nn.Linear(4, 3)
    (right,) = check_dimension(Proofs(torch.rand(2, 15)), network, 0)
    assert right.level is Level.OK
    (short,) = check_dimension(Proofs(torch.rand(2, 12)), network, 0)
    assert short.level is Level.ERROR
    assert "A proof has 12 numbers and the network 15 parameters" in short.message
    assert "bias" in short.message


def test_exchanged_checkpoints_are_found_out(case: Make, here: Path, pieces: Path) -> None:
    paths = {"original": str(pieces / "unlearned.safetensors"), "unlearned": str(pieces / "original.pt")}
    errors = sentences(examined(case(truth=str(pieces / "forgotten"), **paths), here), Level.ERROR)
    assert "exchange original and unlearned" in errors
    assert "exchange the checkpoints" in errors


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
                *(Normalized(one, [0.5], [0.5]) for one in (both.original, both.unlearned)),
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
    assert words in sentences(examined(config, here), Level.ERROR)


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
    assert "made in training mode" in sentences(examined(config, here), Level.ERROR)
