"""Scores of an attack: the first place where reconstructions and forgotten samples meet."""

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
    """Scores that only an attack on batches has.

    Args:
        label_accuracy: Share of the forgotten samples' labels that the attack had right, in [0, 1].
        retained: Scores of the reconstructed retained samples; None where there are none.
        prior: Scores of the images that the search started from; None where it started from noise.
    """

    label_accuracy: float | None = None
    retained: Measured | None = None
    prior: Measured | None = None


@dataclass(frozen=True)
class Scored:
    """Everything that is measured with the forgotten samples at hand.

    Args:
        reconstruction: What the attack recovered; that of an attack on batches in the order of the originals.
        scores: Scores of the attack; None without the forgotten samples.
        attackers: Scores of the attackers beside it, by name; see `Recovered`.
        undefended: Scores of the same attack before the defenses; None where it was not made.
        linkage: How well the linkage attack works; None where it was not made.
        pairing: The permutation test; None where the pairs were chosen by their closeness.
        batches: What only an attack on batches has.
    """

    reconstruction: Reconstruction
    scores: Scores | SampleScores | None = None
    attackers: Mapping[str, Scores | SampleScores] = field(default_factory=dict)
    undefended: Scores | SampleScores | None = None
    linkage: LinkageScores | None = None
    pairing: PermutationTest | None = None
    batches: BatchScores | None = None


def score_attack(
    run: Run,
    config: AttackingConfig,
    recovered: Recovered,
    forgotten: SampleSet | None,
    auxiliary: SampleSet,
    linkage: LinkageScores | None = None,
) -> Scored:
    """Score every attacker's reconstructions of the proofs' samples, and test whether they belong to them.

    Args:
        run: Where the stages are kept.
        config: Scoring and seed.
        recovered: What the attackers recovered.
        forgotten: The forgotten samples, in the order of the proofs; None where they are unknown.
        auxiliary: The attacker's own samples.
        linkage: How well the linkage attack works; None where it was not made.
    """
    if forgotten is None:
        return Scored(recovered.reconstruction)
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
    )


def score_batches(
    run: Run,
    config: ObservingConfig,
    recovered: Recovered,
    *,
    forgotten: ImageSet | None,
    retained: ImageSet | None,
    public: ImageSet,
) -> Scored:
    """Score an attack on batches, whose reconstructions are first paired with the originals, batch by batch.

    Args:
        run: Where the stages are kept.
        config: Scoring, seed, and the samples of a batch.
        recovered: What the server recovered.
        forgotten: The forgotten images, batch by batch; None where they are unknown.
        retained: The retained images, batch by batch; None where they are unknown.
        public: The server's public images.
    """
    found = recovered.reconstruction
    assert isinstance(found, BatchReconstruction), "attacks on batches make these"
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
        name: replace(one, images=in_order(one.images, forgotten.images, batch=batch))
        for name, one in {"": found, **recovered.others}.items()
    }
    undefended = paired.get("undefended")
    return Scored(
        paired[""],
        score(run, config, "scores", paired[""], forgotten, public),
        undefended=undefended and score(run, config, "scores-undefended", undefended, forgotten, public),
        # Pairs that were chosen by their closeness beat a random pairing always.
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
    """Compare reconstructions with the forgotten samples: images, rows or tokens.

    Args:
        run: Where the stage is kept.
        config: Scoring and seed.
        stage: The stage's name.
        reconstruction: What the attack recovered.
        forgotten: The forgotten samples, in the same order.
        auxiliary: The attacker's own samples.
    """
    scoring, images = config.scoring, reconstruction.images
    bootstrap: dict[str, Any] = {
        "bootstrap": scoring.bootstrap,
        "generator": make_generator(config.seed, "bootstrap"),
    }
    key = (reconstruction, forgotten, auxiliary, scoring, config.seed)
    if isinstance(forgotten, ImageSet) and isinstance(auxiliary, ImageSet):
        network, further = scoring.lpips_network, scoring.metrics
        return run.stage(
            stage,
            Scores,
            lambda _: evaluate(
                images, forgotten, auxiliary, lpips_network=network, metrics=further, **bootstrap
            ),
            key=key,
        )
    return run.stage(
        stage, SampleScores, lambda _: evaluate_samples(images, forgotten, auxiliary, **bootstrap), key=key
    )


def measure_images(
    run: Run, config: AttackingConfig, stage: str, images: Tensor, originals: ImageSet, *, batch: int
) -> Measured | None:
    """Score images that an attack on batches made or used on the way.

    Args:
        run: Where the stage is kept.
        config: Scoring and seed.
        stage: The stage's name.
        images: `[b * batch, channels, height, width]`; may be empty.
        originals: The same batches.
        batch: Samples of a batch.

    Returns:
        None where there are no images.
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
    """The stage `permutation-test`: are reconstructions closer to their own originals than to shuffled ones?"""
    permutations = config.scoring.bootstrap

    def compute(_: object) -> PermutationTest:
        generator = make_generator(config.seed, "belonging")
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
        run: Where the stages are kept.
        config: Defenses and seed.
        view: What the auditor holds.
        forgotten: The forgotten samples, in the order of the proofs.
        key: What the oracle's answers depend on.
    """
    order = torch.randperm(len(forgotten), generator=make_generator(config.seed, "candidates"))
    linkage = link_candidates(run, config, view, forgotten.subset(order), key=key)
    return run.stage(
        "scores-linkage",
        LinkageScores,
        lambda _: score_linkage(linkage.scores, order.argsort(), statistic=linkage.statistic),
        key=(linkage,),
    )
