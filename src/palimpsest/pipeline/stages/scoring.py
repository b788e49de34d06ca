"""Scoring stages: the first ones that compare reconstructions with the forgotten samples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from palimpsest.attacks import AuditorView, BatchReconstruction, Reconstruction
from palimpsest.config import AttackingConfig, ObservingConfig
from palimpsest.datasets import ImageSet, SampleSet
from palimpsest.metrics import (
    LinkageScores,
    Measured,
    PermutationTest,
    SampleScores,
    Scores,
    evaluate,
    evaluate_samples,
    in_order,
    label_recovery,
    measure,
    permutation_test,
    sample_errors,
    score_linkage,
    shuffle_pairs,
)
from palimpsest.pipeline.stages.auditor import link_candidates
from palimpsest.pipeline.stages.recovered import Recovered
from palimpsest.randomness import make_generator
from palimpsest.runs import Run


@dataclass(frozen=True)
class BatchScores:
    """Scores that only attacks on batches have.

    Args:
        label_accuracy: Share of the forgotten samples' labels that the attack used or inferred correctly, in [0, 1];
            None if the forgotten samples are unknown.
        retained: Scores of the reconstructed retained samples; None if there are none.
        prior: Scores of the public images that the search started from; None if it started from noise.
    """

    label_accuracy: float | None = None
    retained: Measured | None = None
    prior: Measured | None = None


@dataclass(frozen=True)
class Scored:
    """The reconstructions and everything that is measured with the help of the forgotten samples.

    Args:
        reconstruction: The attack's reconstructions; those of an attack on batches are in the order of the originals.
        scores: Scores of the attack; None without the forgotten samples.
        attackers: Scores of the other attackers, by name; see `Recovered`.
        undefended: Scores of the same attack before the defenses; None if it was not run.
        linkage: Scores of the linkage attack; None if it was not run.
        pairing: The permutation test; None if reconstructions were paired with originals by similarity, or without the
            forgotten samples.
        batches: Scores that only attacks on batches have; None otherwise.
        control: Scores of the attack on the samples that were kept aside for the positive control; None if there are
            none.
    """

    reconstruction: Reconstruction
    scores: Scores | SampleScores | None = None
    attackers: Mapping[str, Scores | SampleScores] = field(default_factory=dict)
    undefended: Scores | SampleScores | None = None
    linkage: LinkageScores | None = None
    pairing: PermutationTest | None = None
    batches: BatchScores | None = None
    control: Scores | SampleScores | None = None


def score_attack(
    run: Run,
    config: AttackingConfig,
    recovered: Recovered,
    forgotten: SampleSet | None,
    auxiliary: SampleSet,
    linkage: LinkageScores | None = None,
) -> Scored:
    """Score every attacker's reconstructions of the proofs' samples, and run the permutation test.

    Args:
        run: The run that stores the stages.
        config: Scoring and seed.
        recovered: The attackers' reconstructions.
        forgotten: The forgotten samples, in the order of the proofs. None means they are unknown; nothing is scored.
        auxiliary: The attacker's auxiliary samples.
        linkage: Scores of the linkage attack; None if it was not run.

    Returns:
        The reconstructions and their scores.
    """
    control = score_control(run, config, recovered, auxiliary)
    if forgotten is None:
        return Scored(recovered.reconstruction, control=control)
    attackers = {
        name: score(run, config, f"scores-{name}", reconstruction, forgotten, auxiliary)
        for name, reconstruction in recovered.others.items()
    }
    return Scored(
        recovered.reconstruction,
        score(run, config, "scores", recovered.reconstruction, forgotten, auxiliary),
        attackers,
        attackers.get("undefended"),
        linkage,
        pairing_test(run, config, recovered.reconstruction, forgotten, auxiliary),
        control=control,
    )


def score_control(
    run: Run, config: AttackingConfig, recovered: Recovered, auxiliary: SampleSet
) -> Scores | SampleScores | None:
    """Score the positive control with the samples that the attacker kept aside; the forgotten ones are not needed.

    Args:
        run: The run that stores the stage.
        config: Scoring and seed.
        recovered: The attackers' reconstructions.
        auxiliary: The attacker's auxiliary samples.

    Returns:
        The scores, or None if no samples were kept aside.
    """
    control = recovered.control
    if control is None:
        return None
    return score(run, config, "scores-control", control.reconstruction, control.samples, auxiliary)


def score_batches(
    run: Run,
    config: ObservingConfig,
    recovered: Recovered,
    *,
    forgotten: ImageSet | None,
    retained: ImageSet | None,
    public: ImageSet,
) -> Scored:
    """Score an attack on batches, after pairing its reconstructions with the originals of each batch.

    Args:
        run: The run that stores the stages.
        config: Scoring, seed, and the numbers of samples in a batch.
        recovered: The server's reconstructions.
        forgotten: The forgotten images, batch by batch; None if they are unknown.
        retained: The retained images, batch by batch; None if they are unknown.
        public: The server's public images.

    Returns:
        The reconstructions, in the order of the originals if these are known, and their scores.
    """
    found = recovered.reconstruction
    assert isinstance(found, BatchReconstruction), "attacks on batches return these"
    sizes = config.observation
    batch = sizes.forgotten
    retained_scores = None
    if retained is not None:
        retained_scores = measure_images(
            run, config, "retained", found.retained, retained, batch=sizes.retained
        )
    if forgotten is None:
        return Scored(found, batches=BatchScores(retained=retained_scores))
    prior = measure_images(run, config, "prior", found.prior, forgotten, batch=batch)
    paired = {
        name: replace(reconstruction, images=in_order(reconstruction.images, forgotten.images, batch=batch))
        for name, reconstruction in {"": found, **recovered.others}.items()
    }
    undefended = paired.get("undefended")
    return Scored(
        paired[""],
        score(run, config, "scores", paired[""], forgotten, public),
        undefended=undefended and score(run, config, "scores-undefended", undefended, forgotten, public),
        # In larger batches the pairs are chosen by similarity, so they would always beat a random pairing.
        pairing=pairing_test(run, config, paired[""], forgotten, public) if batch == 1 else None,
        batches=BatchScores(
            label_recovery(found.labels, forgotten.labels, batch=batch), retained_scores, prior
        ),
    )


def score(
    run: Run,
    config: AttackingConfig,
    stage: str,
    reconstruction: Reconstruction,
    forgotten: SampleSet,
    auxiliary: SampleSet,
) -> Scores | SampleScores:
    """Run a scoring stage: compare reconstructions with the forgotten samples, which are images, rows or tokens.

    Args:
        run: The run that stores the stage.
        config: Scoring and seed.
        stage: The stage's name.
        reconstruction: The attack's reconstructions.
        forgotten: The forgotten samples, in the same order.
        auxiliary: The attacker's auxiliary samples.

    Returns:
        The scores: `Scores` for images, `SampleScores` for rows and tokens.
    """
    scoring, images = config.scoring, reconstruction.images
    bootstrap: dict[str, Any] = {
        "bootstrap": scoring.bootstrap,
        "generator": make_generator(config.seed, "bootstrap"),
    }
    key = (reconstruction, forgotten, auxiliary, scoring, config.seed)
    if isinstance(forgotten, ImageSet) and isinstance(auxiliary, ImageSet):
        network, metrics = scoring.lpips_network, scoring.metrics
        return run.stage(
            stage,
            Scores,
            lambda _: evaluate(
                images, forgotten, auxiliary, lpips_network=network, metrics=metrics, **bootstrap
            ),
            key=key,
        )
    return run.stage(
        stage, SampleScores, lambda _: evaluate_samples(images, forgotten, auxiliary, **bootstrap), key=key
    )


def measure_images(
    run: Run, config: AttackingConfig, stage: str, images: Tensor, originals: ImageSet, *, batch: int
) -> Measured | None:
    """Score further images of an attack on batches: reconstructed retained samples, or the start of the search.

    Args:
        run: The run that stores the stage.
        config: Scoring and seed.
        stage: The stage's name.
        images: `[b * batch, channels, height, width]`; may be empty.
        originals: The originals of the same batches.
        batch: Number of samples in a batch.

    Returns:
        The scores, or None if there are no images.
    """
    if not len(images):
        return None
    paired, scoring = in_order(images, originals.images, batch=batch), config.scoring
    return run.stage(
        stage,
        Measured,
        lambda _: measure(
            paired,
            originals.images,
            lpips_network=scoring.lpips_network,
            bootstrap=scoring.bootstrap,
            generator=make_generator(config.seed, "bootstrap", stage),
        ),
        key=(paired, originals, scoring, config.seed),
    )


def pairing_test(
    run: Run,
    config: AttackingConfig,
    reconstruction: Reconstruction,
    forgotten: SampleSet,
    auxiliary: SampleSet,
) -> PermutationTest:
    """Run the stage `permutation-test`: test if reconstructions are closer to their originals than to shuffled ones.

    Args:
        run: The run that stores the stage.
        config: Number of permutations (`scoring.bootstrap`) and seed.
        reconstruction: The attack's reconstructions.
        forgotten: The forgotten samples, in the same order.
        auxiliary: The attacker's auxiliary samples.

    Returns:
        Mean errors and p-values of the permutation test.
    """
    permutations = config.scoring.bootstrap

    def compute(_: object) -> PermutationTest:
        generator = make_generator(config.seed, "permutation test")
        if isinstance(forgotten, ImageSet):
            return permutation_test(
                reconstruction.images,
                forgotten.images,
                forgotten.labels,
                permutations=permutations,
                generator=generator,
            )
        errors = sample_errors(reconstruction.images, forgotten, auxiliary)
        return shuffle_pairs(errors, forgotten.labels, permutations=permutations, generator=generator)

    key = (reconstruction, forgotten, auxiliary, permutations, config.seed)
    return run.stage("permutation-test", PermutationTest, compute, key=key)


def score_links(
    run: Run, config: AttackingConfig, view: AuditorView[Any], forgotten: SampleSet, *, key: Sequence[object]
) -> LinkageScores:
    """Run the linkage attack with the forgotten samples as candidates, in random order, and score it.

    Args:
        run: The run that stores the stages.
        config: Defenses and seed.
        view: The auditor's view.
        forgotten: The forgotten samples, in the order of the proofs.
        key: Everything that the oracle's answers depend on.

    Returns:
        The scores of the linkage attack.
    """
    order = torch.randperm(len(forgotten), generator=make_generator(config.seed, "candidates"))
    linkage = link_candidates(run, config, view, forgotten.subset(order), key=key)
    return run.stage(
        "scores-linkage",
        LinkageScores,
        lambda _: score_linkage(linkage.scores, order.argsort(), statistic=linkage.statistic),
        key=(linkage,),
    )
