"""Bounds stage: limits of what any attack on the proofs could do, and a test of the defenses' privacy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from palimpsest.attacks import AuditorView
from palimpsest.bounds import (
    Sensitivity,
    bayes_error,
    candidate_success,
    centered_gram,
    fit_prior,
    gaussian_success,
    joint_success,
    optimal_success,
    private_success,
    van_trees,
)
from palimpsest.config import AttackingConfig
from palimpsest.datasets import ImageSet, SampleSet
from palimpsest.defenses import Defense, FixedFunction, GaussianRelease, Pipeline, pipeline_of
from palimpsest.errors import BoundError, DatasetError, ModelError
from palimpsest.metrics import (
    BoundsMetrics,
    ErrorBounds,
    IdentificationBounds,
    LinkageScores,
    SampleScores,
    Scores,
    binomial_interval,
)
from palimpsest.oracles import query_all
from palimpsest.pipeline.stages.auditor import HeldModels
from palimpsest.pipeline.stages.release_privacy import CERTAIN, measure_privacy
from palimpsest.proofs import Proofs
from palimpsest.randomness import make_generator
from palimpsest.runs import Run
from palimpsest.storage import Record

DRAWS, AUXILIARY = 4096, 512
"""Number of simulated proofs for the best possible attack, and largest number of auxiliary samples for the others."""
PRIOR_IMAGES, IMAGES, PROBES, STEPS = 1024, 8, 4, 5
"""Images of the Gaussian prior's covariance; images, random probes and Lanczos steps of the van Trees bound."""

_AGGREGATED = "no bound: the bounds hold for the proof of a single sample, and these are means over groups"


@dataclass(frozen=True)
class Bounds(Record):
    """Bounds of one run.

    Args:
        metrics: The section of `metrics.json`.
        local_errors: The remaining error near each image at which the derivative was taken, `[n]`; see `van_trees`.
            None if it was not computed.
    """

    metrics: BoundsMetrics
    local_errors: Tensor | None = None


def bound_attacks(
    run: Run,
    config: AttackingConfig,
    view: AuditorView[Any],
    clean: Proofs | None,
    *,
    models: HeldModels | None,
    key: Sequence[object],
) -> Bounds:
    """Run the stage `bounds`. The forgotten samples enter through their undefended proofs alone.

    Args:
        run: The run that stores the stage.
        config: Defenses and seed.
        view: The auditor's view.
        clean: The undefended proofs, which are the oracle's answers for the candidates; None if they are unknown.
        models: The two models, for derivatives; None if they are unknown.
        key: Everything that the oracle's answers depend on.

    Raises:
        BoundError: A measured privacy loss exceeds what the defenses guarantee.
    """
    defenses = [defense.build() for defense in config.defenses]
    if all(isinstance(defense.release(), FixedFunction) for defense in defenses):
        return Bounds(BoundsMetrics(reason=FixedFunction().reason))
    if view.group_sizes:
        return Bounds(BoundsMetrics(reason=_AGGREGATED))
    return run.stage(
        "bounds",
        Bounds,
        lambda _: _measure(config, defenses, view, clean, models),
        key=(
            *key,
            clean or "",
            view.auxiliary,
            config.defenses,
            config.seed,
            models is not None,
            view.device,
        ),
    )


def check_outcome(
    config: AttackingConfig,
    bounds: Bounds,
    links: LinkageScores | None,
    scores: Scores | SampleScores | None,
) -> None:
    """Check that neither the linkage attack nor the reported reconstructions beat the bounds; see `check_identified`.

    Args:
        config: Names of the attack and of the defenses, for the message.
        bounds: The bounds of the same proofs.
        links: Scores of the linkage attack; None if it was not run.
        scores: Scores of the reconstructions; None if they were not scored.
    """
    names = [defense.name for defense in config.defenses]
    linked = links and links.identified
    found = None if scores is None else float(scores.reconstruction()["identification_top1"] or 0.0)
    for attack, identified in (("linkage", linked), (config.attack.name, found)):
        check_identified(identified, bounds, attack=attack, names=names)


def check_identified(identified: float | None, bounds: Bounds, *, attack: str, names: Sequence[str]) -> None:
    """Check that an attack does not beat what no attack can beat, at a confidence of 1 - 1e-6.

    Args:
        identified: Share of the proofs whose sample the attack identifies among all forgotten samples; None if unknown.
        bounds: The bounds of the same proofs.
        attack: Name of the attack, for the message.
        names: Names of the defenses, for the message.

    Raises:
        BoundError: The interval of the share at a confidence of 1 - 1e-6 lies above the proven bound.
    """
    found = bounds.metrics.identification
    if identified is None or found is None or found.bound is None:
        return
    right = round(identified * found.candidates)
    low, _ = binomial_interval(right, found.candidates, confidence=CERTAIN)
    if low > found.bound:
        raise BoundError(
            f"The attack {attack} identifies {right} of {found.candidates} proofs, but the defenses {', '.join(names)} "
            f"limit every attack to {found.bound:.1%}. Correct the noise of the defense, or `Defense.release`."
        )


def _measure(
    config: AttackingConfig,
    defenses: Sequence[Defense],
    view: AuditorView[Any],
    clean: Proofs | None,
    models: HeldModels | None,
) -> Bounds:
    pipeline, generator = pipeline_of(defenses), make_generator(config.seed, "bounds")
    samples = _draw(view, generator)
    answers = query_all(view.oracle, samples)
    identification = clean and identification_bounds(pipeline, clean.vectors, generator)
    gaussian = isinstance(pipeline.first, GaussianRelease)
    gram = centered_gram(pipeline.means(answers) if gaussian else answers)
    error, local = _error_bounds(pipeline, gram, samples, view, models, generator)
    return Bounds(
        BoundsMetrics(
            reason=_reason(pipeline, identification),
            sigma=pipeline.first.sigma if isinstance(pipeline.first, GaussianRelease) else None,
            identification=identification,
            error=error,
            epsilon=measure_privacy(
                config, pipeline, defenses, answers, gram, make_generator(config.seed, "privacy")
            ),
        ),
        local,
    )


def _reason(pipeline: Pipeline, identification: IdentificationBounds | None) -> str | None:
    """Return why there is no bound at all; None if there is one."""
    if identification is not None and identification.bound is not None:
        return None
    return pipeline.reason or None


def identification_bounds(
    pipeline: Pipeline, proofs: Tensor, generator: Generator
) -> IdentificationBounds | None:
    """Bound the identification of each proof's sample among all forgotten samples.

    Args:
        pipeline: Description of the defenses.
        proofs: Undefended proofs, `[n, d]`.
        generator: Source of the simulation.

    Returns:
        The bounds, or None if no defense gives one.
    """
    count, found = len(proofs), dict[str, Any]()
    if isinstance(pipeline.first, GaussianRelease):
        gram, sigma = centered_gram(pipeline.means(proofs)), pipeline.first.sigma
        optimum = optimal_success(gram, sigma, draws=max(DRAWS, count), generator=generator)
        found |= {
            "optimum": optimum.value,
            "optimum_interval": (optimum.low, optimum.high),
            "candidate_bound": candidate_success(gram, sigma),
            "joint_bound": joint_success(gram, sigma),
        }
    if pipeline.promises:
        found["any_candidates_bound"], found["all_releases_bound"] = (
            min(_promise(promise, 1 / count, every) for promise in pipeline.promises)
            for every in (False, True)
        )
    return IdentificationBounds(candidates=count, chance=1 / count, **found) if found else None


def _promise(promise: Any, prior: float, every: bool) -> float:
    """Return the bound that holds for any candidates, for one release or for every release together."""
    if isinstance(promise, GaussianRelease):
        assert promise.radius is not None, "promises limit the norm"
        releases = promise.releases if every else 1
        return gaussian_success(prior, releases**0.5 * promise.radius / promise.sigma)
    return private_success(prior, promise.epsilon, promise.delta)


def _draw(view: AuditorView[Any], generator: Generator) -> SampleSet:
    """Draw the auxiliary samples whose proofs are queried, as many as fit into a part of the memory budget."""
    fitting = view.memory_budget // (32 * view.oracle.dimension)
    rows = torch.randperm(len(view.auxiliary), generator=generator)[: max(4, min(AUXILIARY, fitting))]
    return view.auxiliary.subset(rows)


def _error_bounds(
    pipeline: Pipeline,
    gram: Tensor,
    samples: SampleSet,
    view: AuditorView[Any],
    models: HeldModels | None,
    generator: Generator,
) -> tuple[ErrorBounds | None, Tensor | None]:
    """Return the bounds of the error, and the error that remains near each image."""
    release = pipeline.first
    if not isinstance(release, GaussianRelease) or not samples.inputs.is_floating_point() or len(samples) < 2:
        return None, None
    bayes = bayes_error(gram, samples.inputs, release.sigma, draws=2, generator=generator)
    part = ErrorBounds(bayes_error=bayes.value, bayes_interval=bayes.interval, prior_samples=bayes.samples)
    if not isinstance(samples, ImageSet) or models is None or pipeline.fixed:
        missing = (
            "the proof is changed by another defense before the noise is added"
            if pipeline.fixed
            else "the models are unknown"
            if models is None
            else "the samples are no images"
        )
        return part.model_copy(update={"missing": missing}), None
    images = samples.subset(torch.arange(min(IMAGES, len(samples))))
    sensitivity = Sensitivity(models.original, models.unlearned, release.mean, view.memory_budget)
    rows = torch.arange(min(PRIOR_IMAGES, len(view.auxiliary)))
    reference = view.auxiliary.subset(rows)
    try:
        prior = fit_prior(reference.inputs, reference.labels)
        found = van_trees(
            lambda vectors: sensitivity.normal_products(images.images, images.labels, vectors),
            prior,
            release.sigma,
            count=len(images),
            probes=PROBES,
            steps=STEPS,
            generator=generator,
        )
    except (ModelError, DatasetError) as error:
        return part.model_copy(update={"missing": str(error)}), None
    return part.model_copy(
        update={
            "van_trees": found.value,
            "van_trees_deviation": found.deviation,
            "local_mean": float(found.local.mean()),
            "local_range": (float(found.local.min()), float(found.local.max())),
            "images": len(images),
            "class_mean": prior.error,
        }
    ), found.local
