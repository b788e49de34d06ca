from pathlib import Path
from typing import Any

import torch
from tests.support.wall_cases import least, server_case

from palimpsest.artifacts import load_server_artifacts
from palimpsest.attacks import DRAGD, ServerView
from palimpsest.config import AttackConfig
from palimpsest.pipeline.attack import attack
from palimpsest.pipeline.stages.control_server import keep_batches_aside


def view_of(here: Path, pieces: Path, models: dict[str, Any]) -> ServerView:
    config = server_case("dragd", here, pieces, models)
    artifacts = load_server_artifacts(config, data_dir=None, device="cpu")
    return artifacts.view(DRAGD(), device="cpu", memory_budget=2**28)


def test_kept_aside_batches_never_reach_the_attack(here: Path, pieces: Path, models: dict[str, Any]) -> None:
    view = view_of(here, pieces, models)
    smaller, aside = keep_batches_aside(view, 64, seed=1)
    # A tenth of 48 public images fills one batch of 2 + 2.
    assert aside is not None
    assert (aside.batches, len(aside.retained), len(aside.forgotten)) == (1, 2, 2)
    assert len(smaller.public) == 44
    given = {image.numpy().tobytes() for image in smaller.public.images}
    for image in torch.cat([aside.retained.images, aside.forgotten.images]):
        assert image.numpy().tobytes() not in given
    assert keep_batches_aside(view, 3, seed=1) == (view, None)


def test_the_control_is_scored_next_to_the_mean_image(
    here: Path, pieces: Path, models: dict[str, Any]
) -> None:
    config = server_case("dragd", here, pieces, models)
    settings = least("dragd") | {"iterations": 60}
    config = config.model_copy(update={"attack": AttackConfig.model_validate(settings)})
    control = attack(config, out=here / "run").metrics.positive_control
    assert control is not None
    assert control.count == 2
    assert control.mse > 0
    assert control.mean_image > 0
