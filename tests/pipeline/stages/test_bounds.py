"""Bounds of the small linear auditor of the fixture `view`, and of a network."""

from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from tests.support.attack_views import CountingOracle, small_images, small_network
from tests.support.outcomes import scores

from palimpsest.attacks import AuditorView
from palimpsest.bounds import centered_gram, gaussian_success, optimal_success
from palimpsest.config import build_config
from palimpsest.defenses import NO_BOUND
from palimpsest.errors import BoundError
from palimpsest.gradients import gradient_differences
from palimpsest.metrics import BoundsMetrics, IdentificationBounds, LinkageScores
from palimpsest.pipeline.stages import bounds as stage
from palimpsest.pipeline.stages.auditor import HeldModels, link_candidates
from palimpsest.pipeline.stages.bounds import Bounds, bound_attacks, check_identified, check_outcome
from palimpsest.proofs import Proofs
from palimpsest.randomness import make_generator
from palimpsest.runs import Run


def bounded(
    view: AuditorView[Any],
    clean: Proofs | None,
    folder: Path,
    defenses: list[dict[str, Any]],
    models: HeldModels | None = None,
) -> Bounds:
    config = build_config({"data": {"name": "digits"}, "defenses": defenses})
    with Run.open(folder, config, console=Console(quiet=True)) as run:
        return bound_attacks(run, config, view, clean, models=models, key=())


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "DRAWS", 600)


def test_fixed_functions_have_no_bound_and_no_stage(view: AuditorView[Any], tmp_path: Path) -> None:
    for defenses in ([], [{"name": "sign"}, {"name": "prune"}]):
        found = bounded(view, Proofs(view.proofs), tmp_path / str(len(defenses)), defenses)
        assert found.metrics == BoundsMetrics(reason=NO_BOUND)
    assert not list(tmp_path.rglob("bounds*"))


def test_gaussian_noise_is_bounded_for_these_candidates_only(view: AuditorView[Any], tmp_path: Path) -> None:
    sigma = 0.5 * float(centered_gram(view.proofs).diagonal().sqrt().median())
    found = bounded(
        view, Proofs(view.proofs), tmp_path / "run", [{"name": "gaussian", "sigma": sigma}]
    ).metrics
    part = found.identification
    assert part is not None
    assert part.bound is not None
    assert part.optimum is not None
    assert (found.reason, part.candidates, part.any_candidates_bound) == (None, 60, None)
    expected = optimal_success(centered_gram(view.proofs), sigma, draws=5000, generator=make_generator(1))
    assert part.optimum == pytest.approx(expected.value, abs=0.08)
    assert part.optimum <= part.bound + 0.05
    assert found.error is not None
    assert found.error.missing == "the models are unknown"
    assert found.epsilon is not None
    assert found.epsilon.measured_gaussian <= (found.epsilon.analytic or 0)


def test_clipping_bounds_any_candidates_even_without_the_forgotten_samples(
    view: AuditorView[Any], tmp_path: Path
) -> None:
    defense = {"name": "clip-noise", "clip": 2.0, "epsilon": 4.0, "releases": 4}
    found = bounded(view, Proofs(view.proofs), tmp_path / "known", [defense]).metrics
    part = found.identification
    assert part is not None
    assert found.sigma is not None
    mu = 2.0 / found.sigma
    assert part.any_candidates_bound == pytest.approx(gaussian_success(1 / 60, mu))
    assert part.all_releases_bound == pytest.approx(gaussian_success(1 / 60, 2 * mu))
    assert (part.candidate_bound or 1) <= part.any_candidates_bound
    unknown = bounded(view, None, tmp_path / "unknown", [defense]).metrics
    assert unknown.identification is None
    assert unknown.error is not None
    # After obfuscation, the candidates' own distances no longer matter, but the promise still holds.
    later = bounded(view, Proofs(view.proofs), tmp_path / "later", [{"name": "orthogonal"}, defense]).metrics
    assert later.reason is None
    assert later.identification is not None
    assert later.identification.optimum is None
    assert later.identification.bound == pytest.approx(part.any_candidates_bound)
    assert later.error is None


def test_obfuscation_has_a_reason_and_a_measured_epsilon(view: AuditorView[Any], tmp_path: Path) -> None:
    found = bounded(view, Proofs(view.proofs), tmp_path / "run", [{"name": "orthogonal"}]).metrics
    assert found.reason is not None
    assert "hyperplanes" in found.reason
    assert found.identification is found.error is None
    assert found.epsilon is not None
    assert found.epsilon.analytic is None
    assert found.epsilon.measured > 3


def test_the_error_bound_lies_below_the_best_linear_attack(tmp_path: Path) -> None:
    models = [small_network(1), small_network(1)]
    for parameter in models[1].parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape, generator=make_generator(3))
    forgotten, auxiliary = small_images(20, 1, 1), small_images(120, 1, 2)
    oracle = CountingOracle(*models)
    proofs = gradient_differences(*models, forgotten.images, forgotten.labels)
    view = AuditorView(proofs, oracle, auxiliary, "cpu", 2**30)
    held = HeldModels(small_network(1), models[0], models[1])
    sigma = 0.3 * float(centered_gram(proofs).diagonal().sqrt().median())
    found = bounded(view, Proofs(proofs), tmp_path / "run", [{"name": "gaussian", "sigma": sigma}], held)
    error = found.metrics.error
    assert error is not None
    assert error.missing is None
    assert error.van_trees is not None
    assert error.class_mean is not None
    assert 0 < error.van_trees < error.class_mean
    assert found.local_errors is not None
    assert error.local_mean == pytest.approx(float(found.local_errors.mean()))
    # Ridge regression of auxiliary images on their noisy proofs, tried on the forgotten images.
    answers = gradient_differences(*models, auxiliary.images, auxiliary.labels)
    generator = make_generator(4)
    noisy = answers.repeat(20, 1) + sigma * torch.randn(20 * 120, answers.shape[1], generator=generator)
    targets = auxiliary.images.flatten(1).repeat(20, 1)
    mean, level = targets.mean(0), noisy.mean(0)
    gram = (noisy - level).T @ (noisy - level) + 24 * sigma**2 * torch.eye(answers.shape[1])
    weights = torch.linalg.solve(gram, (noisy - level).T @ (targets - mean))
    trials = proofs.repeat(50, 1) + sigma * torch.randn(50 * 20, proofs.shape[1], generator=generator)
    errors = ((trials - level) @ weights + mean - forgotten.images.flatten(1).repeat(50, 1)).square().mean(1)
    assert error.bayes_interval[0] < float(errors.mean())


def test_another_defense_before_the_noise_leaves_no_derivative(
    view: AuditorView[Any], tmp_path: Path
) -> None:
    defenses = [{"name": "prune"}, {"name": "gaussian", "sigma": 1.0}]
    error = bounded(view, Proofs(view.proofs), tmp_path / "run", defenses).metrics.error
    assert error is not None
    assert error.missing == "the proof is changed by another defense before the noise is added"


def test_the_linkage_attack_does_not_beat_the_bound(view: AuditorView[Any], tmp_path: Path) -> None:
    generator = make_generator(5)
    sigma = 0.7 * float(centered_gram(view.proofs).diagonal().sqrt().median())
    defenses = [{"name": "gaussian", "sigma": sigma}]
    config = build_config({"data": {"name": "digits"}, "defenses": defenses})
    part = bounded(view, Proofs(view.proofs), tmp_path / "bounds", defenses).metrics.identification
    assert part is not None
    assert part.bound is not None
    right = 0
    from tests.support.flat_oracle import small_images as flat_images

    for trial in range(3):
        noisy = view.proofs + sigma * torch.randn(view.proofs.shape, generator=generator)
        attacked = AuditorView(noisy, view.oracle, view.auxiliary, "cpu", 2**30)
        with Run.open(tmp_path / f"link-{trial}", config, console=Console(quiet=True)) as run:
            links = link_candidates(run, config, attacked, flat_images(60, seed=2), key=())
        right += int((links.scores.argmax(1) == torch.arange(60)).sum())
    assert part.chance < right / 180 < part.bound + 0.11  # 3 standard deviations of 180 trials


def links(identified: float) -> LinkageScores:
    return LinkageScores("norm", identified, [0.0, 0.0], 0.5, 0.01, [[0.0, 1.0]] * 3)


def test_an_attack_that_beats_the_bound_is_an_error_that_names_the_defense() -> None:
    found = Bounds(
        BoundsMetrics(identification=IdentificationBounds(candidates=100, chance=0.01, candidate_bound=0.1))
    )
    config = build_config({"data": {"name": "digits"}, "defenses": [{"name": "gaussian"}]})
    check_outcome(config, found, links(0.2), None)
    with pytest.raises(
        BoundError, match=r"The attack linkage identifies 40 of 100 .* defenses gaussian limit every"
    ):
        check_outcome(config, found, links(0.4), None)
    with pytest.raises(BoundError, match="The attack strongest identifies 75 of 100"):
        check_outcome(config, found, None, scores())
    check_identified(1.0, Bounds(BoundsMetrics(reason=NO_BOUND)), attack="linkage", names=[])
    check_identified(None, found, attack="linkage", names=[])
