"""Artifacts of a server: gradients of two batches, the true images, and the configuration that names them."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tests.support.artifacts import Make, write_folder
from torch import Tensor, nn

from palimpsest.artifacts import ArtifactsConfig, load_samples, read_artifacts_config
from palimpsest.artifacts.auditor import models_of
from palimpsest.artifacts.models import Models
from palimpsest.artifacts.server import images_of

QUICK = {"name": "dragd", "iterations": 3}
SHAPES = {"retained": 6, "forgotten": 4}
"""Number of samples in two batches of three retained and two forgotten samples."""


def plain_gradient(model: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Compute the gradient of the mean loss with plain autograd."""
    loss = F.cross_entropy(model(images), labels)
    return dict(
        zip(
            [name for name, _ in model.named_parameters()],
            torch.autograd.grad(loss, list(model.parameters())),
            strict=True,
        )
    )


class Client:
    """Client that computes gradients, and writes the file that the server stores."""

    def __init__(self, folder: Path, models: dict[str, Any]) -> None:
        self.folder = folder
        for part, count in SHAPES.items():
            if not (folder / part).exists():
                write_folder(folder / part, count // 2, seed=count)
        self.config = read_artifacts_config(
            None, models | {"gradients": str(folder / "x"), "auxiliary": str(folder / "forgotten")}
        )
        self.stay, self.leave = (images_of(load_samples(str(folder / part))) for part in SHAPES)
        held = models_of(self.config, self.leave, device="cpu")
        assert held is not None
        self.models: Models = held
        self.stay, self.leave = self.stay.subset(torch.arange(6)), self.leave.subset(torch.arange(4))

    @property
    def named(self) -> dict[str, Tensor]:
        """Gradients by parameter, `[2, *shape]` each."""
        tensors: dict[str, list[Tensor]] = {}
        for batch in range(2):
            stay = self.stay.subset(torch.arange(3 * batch, 3 * batch + 3))
            leave = self.leave.subset(torch.arange(2 * batch, 2 * batch + 2))
            whole = torch.cat([stay.images, leave.images]), torch.cat([stay.labels, leave.labels])
            for when, model, samples in (
                ("before", self.models.original, whole),
                ("after", self.models.unlearned, (stay.images, stay.labels)),
            ):
                for name, value in plain_gradient(model, *samples).items():
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
            "labels_retained": self.stay.labels.view(2, 3),
            "labels_forgotten": self.leave.labels.view(2, 2),
        }

    def write(self, tensors: dict[str, Tensor], name: str = "gradients.safetensors") -> Path:
        path = self.folder / name
        save_file({key: value.clone().contiguous() for key, value in tensors.items()}, path)
        return path


def write_table(client: Client, part: str) -> str:
    """Write a table of file names and labels of the true images, in the order of the batches."""
    files = sorted((client.folder / part).glob("class*/*.png"))
    lines = [f"{path},{path.parent.name.removeprefix('class')}" for path in files[: SHAPES[part]]]
    listed = client.folder / f"{part}.csv"
    listed.write_text("\n".join(["file_name,label", *lines]))
    return str(listed)


@pytest.fixture
def client(pieces: Path, here: Path, models: dict[str, Any]) -> Client:
    return Client(here, models)


@pytest.fixture
def served(client: Client, pieces: Path, models: dict[str, Any]) -> Make:
    """Return a function that makes a server's configuration; its keys replace the defaults, and None removes a key."""

    def make(**keys: Any) -> ArtifactsConfig:
        path = keys.pop("path", None) or client.write(client.flat | client.labels)
        tree = models | {"gradients": str(path), "auxiliary": str(pieces / "images"), "attack": QUICK}
        tree |= {"observation": {"retained": 3, "forgotten": 2}, "scoring": {"bootstrap": 10}} | keys
        return read_artifacts_config(None, {name: value for name, value in tree.items() if value is not None})

    return make
