"""Attacks from the server on gradients that somebody brings, and the examination of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tests.support.artifacts import write_folder
from torch import Tensor, nn

from palimpsest.artifacts import CaseConfig, load_samples, read_case
from palimpsest.artifacts.auditor import models_of
from palimpsest.artifacts.models import Models
from palimpsest.artifacts.observation import read_observation
from palimpsest.artifacts.server import images_of
from palimpsest.attacks import BatchReconstruction
from palimpsest.config import ObservationConfig
from palimpsest.doctor import Finding, Level, examine
from palimpsest.errors import (
    CheckpointError,
    ConfigurationError,
    DatasetError,
    DivergenceError,
    KnowledgeError,
    PalimpsestError,
)
from palimpsest.pipeline.attack import attack
from palimpsest.registry import ATTACKS

QUICK = {"name": "dragd", "iterations": 3}
SHAPES = {"remaining": 6, "forgotten": 4}
"""Batches of three remaining samples and two forgotten ones: two of them."""


def plain_gradient(model: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """The mean loss's gradient as anybody's code computes it."""
    loss = F.cross_entropy(model(images), labels)
    return dict(
        zip(
            [name for name, _ in model.named_parameters()],
            torch.autograd.grad(loss, list(model.parameters())),
            strict=True,
        )
    )


class Client:
    """Who computed the gradients, and the file that the server kept."""

    def __init__(self, folder: Path, models: dict[str, Any]) -> None:
        self.folder = folder
        for part, count in SHAPES.items():
            if not (folder / part).exists():
                write_folder(folder / part, count // 2, seed=count)
        self.config = read_case(
            None, models | {"gradients": str(folder / "x"), "auxiliary": str(folder / "forgotten")}
        )
        self.stay, self.leave = (images_of(load_samples(str(folder / part))) for part in SHAPES)
        held = models_of(self.config, self.leave, device="cpu")
        assert held is not None
        self.models: Models = held
        self.stay, self.leave = self.stay.subset(torch.arange(6)), self.leave.subset(torch.arange(4))

    @property
    def named(self) -> dict[str, Tensor]:
        """A tensor for each parameter, `[2, *shape]`."""
        tensors: dict[str, list[Tensor]] = {}
        for batch in range(2):
            stay = self.stay.subset(torch.arange(3 * batch, 3 * batch + 3))
            leave = self.leave.subset(torch.arange(2 * batch, 2 * batch + 2))
            whole = torch.cat([stay.images, leave.images]), torch.cat([stay.labels, leave.labels])
            for when, model, some in (
                ("before", self.models.original, whole),
                ("after", self.models.unlearned, (stay.images, stay.labels)),
            ):
                for name, value in plain_gradient(model, *some).items():
                    tensors.setdefault(f"gradients_{when}/{name}", []).append(value)
        return {name: torch.stack(values) for name, values in tensors.items()}

    @property
    def flat(self) -> dict[str, Tensor]:
        named = self.named
        return {
            key: torch.cat(
                [value.flatten(1) for name, value in named.items() if name.startswith(f"{key}/")], dim=1
            )
            for key in ("gradients_before", "gradients_after")
        }

    @property
    def labels(self) -> dict[str, Tensor]:
        return {
            "labels_remaining": self.stay.labels.view(2, 3),
            "labels_forgotten": self.leave.labels.view(2, 2),
        }

    def write(self, tensors: dict[str, Tensor], name: str = "gradients.safetensors") -> Path:
        path = self.folder / name
        save_file({key: value.clone().contiguous() for key, value in tensors.items()}, path)
        return path


@pytest.fixture
def client(pieces: Path, here: Path, models: dict[str, Any]) -> Client:
    return Client(here, models)


@pytest.fixture
def served(client: Client, pieces: Path, models: dict[str, Any]) -> Callable[..., CaseConfig]:
    """Makes the configuration of the server's case, with some keys replaced; a key set to none is left out."""

    def make(**keys: Any) -> CaseConfig:
        path = keys.pop("path", None) or client.write(client.flat | client.labels)
        tree = models | {"gradients": str(path), "auxiliary": str(pieces / "images"), "attack": QUICK}
        tree |= {"observation": {"remaining": 3, "forgotten": 2}, "scoring": {"bootstrap": 10}} | keys
        return read_case(None, {name: value for name, value in tree.items() if value is not None})

    return make


def table(client: Client, part: str) -> str:
    """The true images in the order of the batches: a table of file names and labels."""
    files = sorted((client.folder / part).glob("class*/*.png"))
    lines = [f"{path},{path.parent.name.removeprefix('class')}" for path in files[: SHAPES[part]]]
    listed = client.folder / f"{part}.csv"
    listed.write_text("\n".join(["file_name,label", *lines]))
    return str(listed)


def examined(config: CaseConfig, here: Path) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for one in examine(config, folder=here):
        found.setdefault(one.piece, []).append(one)
    return found


@pytest.mark.parametrize("form", ["flat", "named", "updates"])
def test_one_observation_is_read_from_each_form(client: Client, form: str) -> None:
    flat = client.flat
    tensors = {
        "flat": flat,
        "named": client.named,
        "updates": {name.replace("gradients", "updates"): -0.1 * value for name, value in flat.items()},
    }[form]
    config = ObservationConfig(remaining=3, forgotten=2)
    seen = read_observation(client.write(tensors), config, client.models).observation
    for when in ("before", "after"):
        torch.testing.assert_close(getattr(seen, f"gradients_{when}"), flat[f"gradients_{when}"])
    assert seen.batch == 5


def test_the_examination_finds_the_objective_zero_for_every_attack(
    served: Callable[..., CaseConfig], client: Client, here: Path
) -> None:
    truth = {"truth": table(client, "forgotten"), "remaining_truth": table(client, "remaining")}
    for name in ("dragd", "dragdp", "joint", "dlg", "idlg", "inverting-gradients"):
        found = examined(served(attack={"name": name}, **truth), here)
        assert [one.level for one in found["objective"]] == [Level.FITS], (name, found["objective"])
    off = examined(served(attack={"name": "direct-difference"}, **truth), here)
    assert off["objective"][0].level is Level.MIND
    assert "both gradients are theirs" in off["objective"][0].sentence


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda flat: {name: 5 * value for name, value in flat.items()}, "5 times the true images'"),
        (lambda flat: {name: value.flip(0) for name, value in flat.items()}, "order of the batches"),
        (lambda flat: flat | {"gradients_after": flat["gradients_before"]}, "nothing was forgotten"),
    ],
)
def test_the_examination_says_what_is_wrong_with_gradients(
    served: Callable[..., CaseConfig], client: Client, here: Path, change: Any, words: str
) -> None:
    path = client.write(change(client.flat) | client.labels, "wrong.safetensors")
    truth = {"truth": table(client, "forgotten"), "remaining_truth": table(client, "remaining")}
    found = examined(served(path=path, **truth), here)
    faults = [one.sentence for findings in found.values() for one in findings if one.level is Level.FAULT]
    assert any(words in sentence for sentence in faults), faults


def test_the_examination_minds_missing_labels_and_truth(
    served: Callable[..., CaseConfig], client: Client, here: Path
) -> None:
    found = examined(served(path=client.write(client.flat, "bare.safetensors")), here)
    assert found["labels"][0].level is Level.FAULT
    assert found["truth"][0].level is Level.MIND
    wrong = client.flat | {name: (value + 1) % 3 for name, value in client.labels.items()}
    truth = {"truth": table(client, "forgotten"), "remaining_truth": table(client, "remaining")}
    found = examined(served(path=client.write(wrong, "labels.safetensors"), **truth), here)
    assert "numbering of the classes" in found["labels"][0].sentence


def test_without_the_truth_nothing_is_scored(served: Callable[..., CaseConfig], here: Path) -> None:
    result = attack(served(), out=here / "run")
    found = BatchReconstruction.load(here / "run" / "reconstructions.safetensors")
    assert found.images.shape == (4, 1, 8, 8)
    assert found.retained.shape == (6, 1, 8, 8)
    assert result.metrics.observation is not None
    assert result.metrics.observation.model_dump() == {
        "batches": 2,
        "remaining": 3,
        "forgotten": 2,
        "dimension": found_dimension(here),
    }
    assert result.metrics.reconstruction is None
    page = (here / "run" / "report.html").read_text()
    assert "4 forgotten samples were reconstructed from gradients" in page
    assert "What the verifier accepted" not in page
    assert 'alt="Reconstruction of sample 3"' in page


def found_dimension(here: Path) -> int:
    return json.loads((here / "run" / "metrics.json").read_text())["observation"]["dimension"]


def test_with_the_truth_it_is_scored(served: Callable[..., CaseConfig], client: Client, here: Path) -> None:
    truth = {"truth": table(client, "forgotten"), "remaining_truth": table(client, "remaining")}
    result = attack(served(attack={"name": "dragdp", "iterations": 3}, **truth), out=here / "run")
    assert result.metrics.reconstruction.count == 4
    assert result.metrics.remaining.count == 6
    assert result.metrics.prior.count == 4
    assert result.metrics.labels_right == 1
    rate = result.metrics.rates["labels_right"]
    assert rate.low < rate.value == 1 == rate.high
    assert rate.chance is not None
    assert 0 < rate.chance < 1
    # Pairs that were chosen by their closeness can't be tested.
    assert result.metrics.belonging is None
    page = (here / "run" / "report.html").read_text()
    assert "paired with its originals" in page
    assert "What the verifier accepted" not in page
    assert len(result.per_image()) == 4


def test_labels_can_be_inferred_where_none_came(
    served: Callable[..., CaseConfig], client: Client, here: Path
) -> None:
    path = client.write(client.flat, "bare.safetensors")
    with pytest.raises(KnowledgeError, match="labels inferred"):
        attack(served(path=path), out=here / "known")
    inferred = served(path=path, attack=QUICK | {"labels": "inferred"})
    assert attack(inferred, out=here / "inferred").metrics.attack["labels_inferred"] == 1


def test_gradients_that_can_not_be_matched_end_with_their_cause(
    served: Callable[..., CaseConfig], client: Client, here: Path
) -> None:
    for value, optimizer in ((3e38, "lbfgs"), (3e38, "adam"), (0.0, "lbfgs")):
        flat = {name: torch.full_like(one, value) for name, one in client.flat.items()}
        path = client.write(flat | client.labels, f"{value}.safetensors")
        config = served(path=path, attack=QUICK | {"precision": "float32", "optimizer": optimizer})
        folder = here / f"{value}-{optimizer}"
        with pytest.raises(DivergenceError, match=r"zero or too large for attack\.precision"):
            attack(config, out=folder)
        assert not (folder / "report.html").exists()


@pytest.mark.parametrize("name", [name for name, kind in ATTACKS if hasattr(kind, "check_objective")])
def test_every_attack_from_the_server_runs_on_brought_gradients(
    served: Callable[..., CaseConfig], here: Path, name: str
) -> None:
    config = served(attack={"name": name, "iterations": 2})
    assert attack(config, out=here / name).metrics.attack


def without(name: str) -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    return lambda flat: {key: value for key, value in flat.items() if key != name}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without("gradients_after"), "neither gradients_after nor updates_after"),
        (lambda flat: flat | {"updates_after": flat["gradients_after"]}, "both gradients_after and"),
        (
            lambda flat: flat | {"gradients_after": flat["gradients_after"][:1]},
            "2 batches before unlearning and 1",
        ),
        (lambda flat: {name: value[:, :-1] for name, value in flat.items()}, "parameters: give a row"),
        (lambda flat: {name: value / 0 for name, value in flat.items()}, "not finite"),
        (lambda flat: {name: value.cfloat() for name, value in flat.items()}, "holds complex64"),
        (lambda flat: {name: value.bool() for name, value in flat.items()}, "holds bool"),
        (
            lambda flat: (
                flat
                | {
                    "labels_remaining": torch.zeros(2, 3, dtype=torch.complex64),
                    "labels_forgotten": torch.zeros(2, 2, dtype=torch.int64),
                }
            ),
            "labels_remaining is complex64",
        ),
        (
            lambda flat: flat | {"labels_forgotten": torch.zeros(2, 2, dtype=torch.int64)},
            "labels_remaining is absent",
        ),
        (
            lambda flat: (
                flat
                | {
                    "labels_remaining": torch.full((2, 3), 7),
                    "labels_forgotten": torch.zeros(2, 2, dtype=torch.int64),
                }
            ),
            "the model has 3 classes",
        ),
    ],
)
def test_what_is_no_observation_is_refused(
    served: Callable[..., CaseConfig], client: Client, here: Path, change: Any, words: str
) -> None:
    path = client.write(change(client.flat), "wrong.safetensors")
    with pytest.raises(CheckpointError, match=words):
        attack(served(path=path), out=here / "run")


def test_a_parameter_that_is_a_single_number_has_a_gradient_for_each_batch(tmp_path: Path) -> None:
    class Scaled(nn.Linear):
        def __init__(self) -> None:
            super().__init__(2, 3)
            self.scale = nn.Parameter(torch.tensor(2.0))

    models, sizes = Models(Scaled(), Scaled(), Scaled().to("meta"), 3), ObservationConfig(remaining=1)
    named = {
        f"gradients_{when}/{name}": torch.rand(2, *parameter.shape)
        for when in ("before", "after")
        for name, parameter in models.original.named_parameters()
    }
    save_file(named, tmp_path / "a.safetensors")
    seen = read_observation(tmp_path / "a.safetensors", sizes, models).observation
    assert seen.gradients_before.shape == (2, 10)
    save_file(named | {"gradients_before/scale": torch.tensor(1.0)}, tmp_path / "b.safetensors")
    with pytest.raises(CheckpointError, match=r"gradients_before/scale is \[\], .* give \[batches\]"):
        read_observation(tmp_path / "b.safetensors", sizes, models)


def test_a_parameter_that_is_missing_is_named(client: Client) -> None:
    named = client.named
    del named["gradients_before/0.weight"]
    with pytest.raises(CheckpointError, match=r"gradients_before/0\.weight is absent"):
        read_observation(client.write(named), ObservationConfig(remaining=3, forgotten=2), client.models)


@pytest.mark.parametrize(
    ("keys", "error", "words"),
    [
        ({"attack": {"name": "igf"}}, KnowledgeError, "an auditor's attack"),
        ({"original": None, "unlearned": None, "model": None}, ConfigurationError, "No models are given"),
        ({"defenses": [{"name": "sign"}]}, KnowledgeError, "imitates no defence"),
        ({"gradients": None}, ConfigurationError, "give either proofs"),
        ({"proofs": "proofs.safetensors"}, ConfigurationError, "give either proofs"),
    ],
)
def test_a_case_that_does_not_fit_is_refused(
    served: Callable[..., CaseConfig],
    here: Path,
    keys: dict[str, Any],
    error: type[PalimpsestError],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        attack(served(**keys), out=here / "run")


def test_a_truth_of_another_number_is_refused(
    served: Callable[..., CaseConfig], pieces: Path, here: Path
) -> None:
    with pytest.raises(DatasetError, match="give 2 for each batch"):
        attack(served(truth=str(pieces / "forgotten")), out=here / "run")
