import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from palimpsest.attacks import DRAGD, BatchReconstruction, GaussianMechanism, MatchingAttack, ServerView
from palimpsest.config import AuditConfig, build_config, merged, preset_names, read_config
from palimpsest.datasets import load_data
from palimpsest.defenses import ClipNoise
from palimpsest.errors import UnlearningError
from palimpsest.federation import Observation
from palimpsest.pipeline.audit import audit
from palimpsest.registry import ATTACKS
from palimpsest.storage import file_hash
from palimpsest.unlearning import Unlearning

TINY: dict[str, Any] = {
    "data": {"name": "digits", "auxiliary_size": 60},
    "model": {"name": "lenet", "initialization": "uniform"},
    "federation": {"clients": 1, "fraction": 1.0, "rounds": 1, "learning_rate": 0.001},
    "unlearning": {"count": 4},
    "observation": {"retained": 2, "forgotten": 2},
    "attack": {"name": "dragd", "iterations": 3},
    "scoring": {"bootstrap": 50},
}


def tiny(**changes: Any) -> AuditConfig:
    return build_config(merged(TINY, changes))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return audit(tiny(), out=tmp_path_factory.mktemp("server") / "run").folder


def test_the_run_folder_holds_observation_and_reconstructions(finished: Path) -> None:
    observation = Observation.load(finished / "observation.safetensors")
    assert (len(observation.gradients_before), observation.retained, observation.forgotten) == (2, 2, 2)
    found = BatchReconstruction.load(finished / "reconstructions.safetensors")
    assert found.images.shape == (4, 1, 8, 8)
    assert found.retained.shape == (4, 1, 8, 8)
    metrics = json.loads((finished / "metrics.json").read_text())
    assert metrics["reconstruction"]["count"] == 4
    assert metrics["retained"]["count"] == 4
    low, high = metrics["retained"]["intervals"]["mse"]
    assert low <= metrics["retained"]["mse"] <= high
    assert "prior" not in metrics
    assert metrics["label_accuracy"] == 1
    assert metrics["attack"]["labels_known"] == 1
    page = (finished / "report.html").read_text()
    assert "noise scale that the clients" not in page
    assert "batches of 2 retained and 2 forgotten samples" in page
    assert "paired with its originals" in page


def test_scores_the_prior_separately(tmp_path: Path) -> None:
    config = tiny(attack={"name": "dragdp", "iterations": 3, "prior": "mean", "control_size": 0})
    data = load_data(config.data, clients=1, seed=config.seed)
    result = audit(config, out=tmp_path / "prior")
    forgotten = Unlearning.load(result.folder / "unlearned.safetensors").forgotten
    expected = (data.public.images.mean(dim=0) - data.train.images[forgotten]).square().mean()
    assert result.metrics.prior.mse == pytest.approx(float(expected), rel=1e-4)
    assert (
        "public images that the search started from have an MSE of"
        in (result.folder / "report.html").read_text()
    )


def test_two_runs_of_one_seed_are_equal(finished: Path, tmp_path: Path) -> None:
    again = audit(tiny(), out=tmp_path / "again").folder
    for name in ("observation", "reconstructions", "scores", "retained"):
        assert file_hash(again / f"{name}.safetensors") == file_hash(finished / f"{name}.safetensors")


def test_only_an_attack_that_declares_labels_receives_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    views: list[ServerView] = []
    plain = DRAGD.__call__

    def watched(self: DRAGD, view: ServerView, *, generator: torch.Generator) -> BatchReconstruction:
        views.append(view)
        return plain(self, view, generator=generator)

    monkeypatch.setattr(DRAGD, "__call__", watched)
    audit(tiny(), out=tmp_path / "known")
    known = len(views)
    audit(tiny(attack={"labels": "optimized"}), out=tmp_path / "optimized")
    assert all(view.labels is not None for view in views[:known])
    assert len(views) > known
    assert all(view.labels is None for view in views[known:])
    assert all(parameter.is_meta for parameter in views[0].architecture.parameters())


def test_only_an_attack_that_declares_the_noise_receives_its_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    views: list[ServerView] = []
    plain = DRAGD.__call__

    def watched(self: DRAGD, view: ServerView, *, generator: torch.Generator) -> BatchReconstruction:
        views.append(view)
        return plain(self, view, generator=generator)

    monkeypatch.setattr(DRAGD, "__call__", watched)
    settings: dict[str, Any] = {"defenses": [{"name": "clip-noise", "epsilon": 1e6}]}
    attack = {"iterations": 2, "control_size": 0}
    folder = audit(tiny(**settings, attack=attack), out=tmp_path / "map").folder
    release = ClipNoise(epsilon=1e6)
    # The second view is that of the gradients before the defenses.
    assert [view.mechanism for view in views] == [GaussianMechanism(release.sigma, release.clip), None]
    assert "noise scale that the clients" in (folder / "report.html").read_text()
    views.clear()
    folder = audit(tiny(**settings, attack=attack | {"noise": "ignored"}), out=tmp_path / "ignored").folder
    assert [view.mechanism for view in views] == [None, None]
    assert "noise scale that the clients" not in (folder / "report.html").read_text()


def test_clients_defend_gradients_like_proofs(finished: Path, tmp_path: Path) -> None:
    folder = audit(tiny(defenses=[{"name": "prune", "ratio": 0.9}]), out=tmp_path / "pruned").folder
    clean, pruned = (Observation.load(run / "observation.safetensors") for run in (finished, folder))
    for name in ("gradients_before", "gradients_after"):
        nonzero = getattr(pruned, name) != 0
        assert 0.05 < float(nonzero.float().mean()) < 0.15
        assert torch.equal(getattr(pruned, name)[nonzero], getattr(clean, name)[nonzero])
    # The same attack on the gradients before the defense is the undefended baseline.
    metrics, plain = (json.loads((run / "metrics.json").read_text()) for run in (folder, finished))
    assert metrics["undefended_baseline"]["mse"] == plain["reconstruction"]["mse"]
    assert "undefended_baseline" not in plain
    assert "Without the defenses, the same attack identifies" in (folder / "report.html").read_text()


def test_rejects_a_count_that_does_not_fill_the_batches(tmp_path: Path) -> None:
    with pytest.raises(UnlearningError, match="not a multiple"):
        audit(tiny(unlearning={"count": 5}), out=tmp_path / "uneven")


SHAPES = {"digits": (1, 8, 8), "mnist": (1, 28, 28), "cifar10": (3, 32, 32), "lfw": (3, 32, 32)}
SERVER_PRESETS = [
    name for name in preset_names() if issubclass(ATTACKS.get(read_config(name).attack.name), MatchingAttack)
]


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mirror with random images that have the names, sizes and channels of real data sets."""
    folder, numbers = tmp_path_factory.mktemp("mirror"), np.random.default_rng(0)
    for place, column, shape, splits in (
        ("ylecun/mnist", "image", (28, 28), {"train": 60, "test": 20}),
        ("uoft-cs/cifar10", "img", (32, 32, 3), {"train": 60, "test": 20}),
        ("lfw", "image", (64, 64, 3), {"train": 60, "test": 20, "public": 20}),
    ):
        (folder / place).mkdir(parents=True)
        for split, count in splits.items():
            pictures = []
            for pixels in numbers.integers(0, 256, (count, *shape), dtype=np.uint8):
                file = io.BytesIO()
                Image.fromarray(pixels).save(file, "PNG")
                pictures.append({"bytes": file.getvalue(), "path": None})
            columns = {column: pictures} | (
                {} if split == "public" else {"label": [*range(4)] * (count // 4)}
            )
            pq.write_table(pa.table(columns), folder / place / f"{split}.parquet")
    return folder


@pytest.mark.parametrize("name", SERVER_PRESETS)
def test_every_preset_runs_on_tiny_data(name: str, mirror: Path, tmp_path: Path) -> None:
    changes = {
        "data": {"auxiliary_size": 20, "train_size": 40},
        "unlearning": {"count": 2},
        "attack": {"iterations": 2},
        "scoring": {"bootstrap": 20},
    }
    result = audit(read_config(name, changes), out=tmp_path / name, data_dir=mirror)
    assert result.metrics.reconstruction.count == 2
    found = BatchReconstruction.load(tmp_path / name / "reconstructions.safetensors")
    assert found.images.shape == (2, *SHAPES[name.partition("-")[0]])
    assert found.retained.shape[0] == 8
