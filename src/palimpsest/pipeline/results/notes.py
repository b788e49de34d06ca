"""Notes of the report: sentences about choices, failures and missing checks that limit what the numbers show."""

from collections.abc import Iterator

from palimpsest.artifacts import AuditorArtifacts, ServerArtifacts, attestation_checks
from palimpsest.metrics import Metrics, PermutationTest, Rate, failed_attack
from palimpsest.pipeline.results.outcome import Federated, Outcome
from palimpsest.pipeline.results.rates import excluded_replies
from palimpsest.pipeline.stages.overlap import describe_known_samples
from palimpsest.report import aggregation_notes, number

_SIGNIFICANT = 0.05


def outcome_notes(outcome: Outcome, metrics: Metrics) -> list[str]:
    """Write the notes of an outcome, in the order of the page.

    Args:
        outcome: The results of all stages.
        metrics: The metrics built from them.
    """
    source = outcome.source
    if isinstance(source, Federated):
        first = [*source.federation.data.notes, *source.unlearned.notes]
    elif isinstance(source, AuditorArtifacts):
        first = list(_proof_notes(outcome, source))
    else:
        first = ["The user stated how many samples of each batch are retained and how many are forgotten."]
    return [
        *first,
        *(describe_known_samples(outcome.overlap) if outcome.overlap else ()),
        *_group_notes(outcome),
        *aggregation_notes(metrics),
        *_batch_notes(outcome, metrics),
        *_prior_notes(metrics),
        *_privacy_notes(metrics),
        *(_fault_notes(source) if isinstance(source, Federated) else ()),
        *pairing_notes(metrics.permutation_test),
    ]


def _proof_notes(outcome: Outcome, artifacts: AuditorArtifacts) -> Iterator[str]:
    """Notes about proofs that a user supplied."""
    yield from artifacts.notes
    yield from attestation_checks(artifacts.proofs, artifacts.models)
    yield (
        "Unless the user set the verifier's threshold (tau), it was calibrated on the auxiliary samples. This assumes "
        "that the models were not trained on them."
    )
    if not artifacts.proofs.attested:
        yield "The proofs are unattested: the proof file does not state how they were made."
    if outcome.scored.scores is not None and outcome.scored.linkage is None:
        yield (
            "The linkage attack, which tests whether a proof can be matched to its sample, was not run. Either the "
            "number of oracle queries is limited, so that the forgotten samples can't be queried, or the attack "
            "exceeds the memory budget."
        )
    if outcome.config.defenses and outcome.scored.undefended is None:
        yield (
            "The attack was not tested on proofs without the defenses, because this requires the forgotten samples and "
            "an oracle that can be queried about them. If the attack fails, this alone is no evidence that the "
            "defenses work."
        )


def _group_notes(outcome: Outcome) -> Iterator[str]:
    """Notes about an audit of proofs without control groups."""
    if (
        isinstance(outcome.source, Federated)
        and outcome.scored.batches is None
        and not outcome.control_groups
        and outcome.aggregation is None
    ):
        yield (
            "The attack was not tried on retained and never-trained samples. This needs an attack that is trained "
            "before it sees the proofs, and at least four such samples."
        )


def _batch_notes(outcome: Outcome, metrics: Metrics) -> Iterator[str]:
    """Notes about an attack on batches."""
    if outcome.scored.batches is None:
        return
    sizes = outcome.config.observation
    if not isinstance(outcome.source, ServerArtifacts):
        yield (
            f"The server saw the gradients of batches of {sizes.retained} retained and {sizes.forgotten} forgotten "
            "samples" + (f" after {sizes.local_steps} local steps." if sizes.local_steps > 1 else ".")
        )
    elif outcome.config.defenses:
        yield (
            "The attack was not tested on the gradients without their noise. If the attack fails, this alone is no "
            "evidence that the noise works."
        )
    if outcome.scored.scores is not None and sizes.forgotten > 1:
        yield (
            "A batch has no order, so its reconstructions were paired with its originals such that the total mean "
            "squared error (MSE) is smallest. This favors the attack."
        )
    if "label_accuracy" in metrics.rates:
        yield label_note(metrics.rates["label_accuracy"])
    for part, images, originals in (
        (metrics.retained, "reconstructed retained samples", "their originals"),
        (metrics.prior, "public images that the search started from", "the forgotten samples"),
    ):
        if part is not None:
            yield f"The {images} have an MSE of {number(part.mse)} from {originals}."


def _prior_notes(metrics: Metrics) -> Iterator[str]:
    """Notes about an attack that ended worse than its prior, or no better."""
    comparison = metrics.prior_comparison
    if comparison is None:
        return
    low, high = comparison.interval
    if comparison.failed:
        yield failed_attack(comparison)
    elif high >= 0:
        yield (
            f"The attack is not significantly closer than its prior alone: the difference of their mean squared errors "
            f"is {number(comparison.difference)} (paired over images, 95 % interval {number(low)} to {number(high)})."
        )


def _privacy_notes(metrics: Metrics) -> Iterator[str]:
    """Notes about a federation that trains with DP-SGD."""
    privacy = metrics.privacy
    if privacy is not None:
        yield (
            f"The clients train with DP-SGD (noise multiplier {number(privacy.noise_multiplier)}, clip norm "
            f"{number(privacy.clip)}): epsilon is {number(privacy.epsilon_training)} for training and "
            f"{number(privacy.epsilon)} for training and unlearning together, at delta {number(privacy.delta)}. Proofs "
            "and observed gradients of batches are further releases. This epsilon does not include them."
        )


def _fault_notes(federated: Federated) -> Iterator[str]:
    """Notes about excluded clients' replies, with the reasons."""
    stages = {"training": federated.original.rounds, "unlearning": federated.unlearned.rounds}
    for stage, rounds in stages.items():
        for client, reasons in excluded_replies(rounds).items():
            counted = ", ".join(
                f"{reason} ({times} {'time' if times == 1 else 'times'})" for reason, times in reasons.items()
            )
            yield f"Replies of client {client} were excluded from {stage}: {counted}."


def label_note(rate: Rate) -> str:
    """Describe the share of correct labels in two sentences.

    Args:
        rate: The share, with the most frequent class's share as chance level.
    """
    return (
        f"The attack used the correct label for {rate.value:.0%} of the forgotten samples (95 % interval "
        f"{rate.low:.0%} to {rate.high:.0%}). Always guessing the most frequent class would be correct for "
        f"{rate.chance:.0%}."
    )


def pairing_notes(test: PermutationTest | None) -> Iterator[str]:
    """Describe the result of the permutation test.

    Args:
        test: The result; None yields no note.
    """
    if test is None:
        return
    yield (
        f"Permutation test with {test.permutations:,} random pairings: the mean squared error (for text, the fraction "
        f"of wrong tokens) is {number(test.matched)} between the reconstructions and their own originals, and "
        f"{number(test.shuffled)} if the originals are shuffled (p = {test.p_value:.3g}). If they are shuffled within "
        f"each class, it is {number(test.shuffled_within_class)} (p = {test.p_value_within_class:.3g}). The p-value "
        "is the fraction of random pairings with an error as small as that of the true pairing, or smaller."
    )
    if test.p_value > _SIGNIFICANT:
        yield (
            f"With p above {_SIGNIFICANT}, the reconstructions are not significantly closer to their own originals "
            "than to others. The scores then describe the samples as a set, and no single sample is shown to be "
            "recovered."
        )
