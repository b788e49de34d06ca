from pathlib import Path

import torch
from safetensors.torch import load_file
from tests.support.artifacts import SMALL, Make
from tests.support.flat_oracle import small_images

from palimpsest.attacks import AuditorView
from palimpsest.config import build_config
from palimpsest.pipeline.attack import attack
from palimpsest.pipeline.stages.auditor import attack_as_auditor
from palimpsest.pipeline.stages.control import control_proofs, keep_aside
from palimpsest.proofs import Proofs
from palimpsest.runs import Run


def keys_of(images: torch.Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def test_kept_aside_samples_never_reach_the_attack(view: AuditorView) -> None:
    smaller, aside = keep_aside(view, 16, seed=1)
    assert aside is not None
    assert (len(aside), len(smaller.auxiliary)) == (16, 224)
    kept, given = keys_of(aside.images), keys_of(smaller.auxiliary.images)
    assert not kept & given
    assert kept | given == keys_of(view.auxiliary.images)
    again, other = keep_aside(view, 16, seed=1)[1], keep_aside(view, 16, seed=2)[1]
    assert again is not None
    assert other is not None
    assert torch.equal(again.images, aside.images)
    assert not torch.equal(other.images, aside.images)


def test_keeps_at_most_a_tenth_and_none_of_few(view: AuditorView) -> None:
    aside = keep_aside(view, 1000, seed=1)[1]
    assert aside is not None
    assert len(aside) == 24
    assert keep_aside(view, 0, seed=1) == (view, None)
    assert keep_aside(view, 3, seed=1) == (view, None)


def test_the_control_is_proved_like_the_clients_samples(view: AuditorView, run: Run) -> None:
    samples = small_images(5, seed=9)
    proofs = control_proofs(run, view.oracle, samples, key=())
    assert torch.equal(
        proofs.vectors, torch.cat(list(view.oracle.differences(samples.images, samples.labels)))
    )


def test_the_control_goes_through_the_defenses(view: AuditorView, run: Run) -> None:
    config = build_config(
        {
            "data": {"name": "digits"},
            "defenses": ["sign"],
            "attack": {key: value for key, value in SMALL.items() if key != "control_size"},
        }
    )
    recovered = attack_as_auditor(run, config, view, None, Proofs(view.proofs.sign()), models=None, key=())
    assert recovered.control is not None
    assert len(recovered.control.samples) == len(recovered.control.reconstruction.images) == 24
    vectors = load_file(run.folder / "control-proofs.safetensors")["vectors"]
    assert set(vectors.unique().tolist()) <= {-1.0, 0.0, 1.0}


def test_the_control_needs_no_truth_and_lands_in_the_metrics(case: Make, here: Path) -> None:
    result = attack(case(attack=SMALL | {"control_size": 64}), out=here / "run")
    control = result.metrics.positive_control
    assert control is not None
    assert control.count == 4
    assert control.chance == 0.25
    assert result.metrics.reconstruction is None
    assert result.metrics.verdict is not None
    assert result.metrics.verdict.grade == "inconclusive"
