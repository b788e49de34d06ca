"""Sentences that a reader of the report needs: what was chosen, what failed, what was not tried."""

from collections.abc import Iterator

from palimpsest.artifacts import AuditorArtifacts, ServerArtifacts, attestation_checks
from palimpsest.metrics import Metrics, PermutationTest, Rate
from palimpsest.pipeline.results.outcome import Federated, Outcome
from palimpsest.pipeline.results.rates import excluded_replies
from palimpsest.report import number

_SIGNIFICANT = 0.05


def outcome_notes(outcome: Outcome, metrics: Metrics) -> list[str]:
    """The notes of an outcome, in the order of the page.

    Args:
        outcome: What the stages made.
        metrics: What was measured.
    """
    source = outcome.source
    if isinstance(source, Federated):
        first = [*source.federation.data.notes, *source.unlearned.notes]
    elif isinstance(source, AuditorArtifacts):
        first = list(_proof_notes(outcome, source))
    else:
        first = ["The user stated how many samples of a batch are retained and how many are forgotten."]
    return [
        *first,
        *_batch_notes(outcome, metrics),
        *(_fault_notes(source) if isinstance(source, Federated) else ()),
        *pairing_notes(metrics.permutation_test),
    ]


def _proof_notes(outcome: Outcome, artifacts: AuditorArtifacts) -> Iterator[str]:
    """Notes about proofs that a user supplied."""
    yield from artifacts.notes
    yield from attestation_checks(artifacts.proofs, artifacts.models)
    yield (
        "The verifier's tau was calibrated on the auxiliary samples, which this run takes to be samples that were "
        "never trained on."
    )
    if not artifacts.proofs.attested:
        yield "The proof file does not say how the proofs were made: it is unattested."
    if outcome.scored.scores is not None and outcome.scored.linkage is None:
        yield (
            "The linkage attack was not run: it would ask the oracle about the forgotten samples themselves, or hold "
            "more than the memory budget."
        )
    if outcome.config.defenses and outcome.scored.undefended is None:
        yield (
            "Whether the attack works without the defenses was not tested: that takes the forgotten samples, and an "
            "oracle that may be asked about them. If the attack fails, that says nothing about the defenses."
        )


def _batch_notes(outcome: Outcome, metrics: Metrics) -> Iterator[str]:
    """Notes about an attack on whole batches."""
    if outcome.scored.batches is None:
        return
    sizes = outcome.config.observation
    if not isinstance(outcome.source, ServerArtifacts):
        yield (
            f"The server saw the gradients of batches of {sizes.retained} retained and {sizes.forgotten} forgotten "
            "samples" + (f" after {sizes.local_steps} local steps." if sizes.local_steps > 1 else ".")
        )
    if outcome.scored.scores is not None and sizes.forgotten > 1:
        yield (
            "A batch has no order: its reconstructions were paired with its originals so that the total MSE is "
            "smallest, which favors the attack."
        )
    if "label_accuracy" in metrics.rates:
        yield label_note(metrics.rates["label_accuracy"])
    for part, images in (
        (metrics.retained, "reconstructed retained samples"),
        (metrics.prior, "public images that the search started from"),
    ):
        if part is not None:
            yield f"The {images} have an MSE of {number(part.mse)}."


def _fault_notes(federated: Federated) -> Iterator[str]:
    """Which clients' replies were left out, and why."""
    stages = {"training": federated.original.rounds, "unlearning": federated.unlearned.rounds}
    for stage, rounds in stages.items():
        for client, reasons in excluded_replies(rounds).items():
            counted = ", ".join(f"{reason} ({times} times)" for reason, times in reasons.items())
            yield f"Replies of client {client} in {stage} were left out: {counted}."


def label_note(rate: Rate) -> str:
    """The share of correct labels in a sentence."""
    return (
        f"The attack had {rate.value:.0%} of the forgotten samples' labels right (95 % interval {rate.low:.0%} to "
        f"{rate.high:.0%}; naming the most frequent class always gives {rate.chance:.0%})."
    )


def pairing_notes(test: PermutationTest | None) -> Iterator[str]:
    """The permutation test in sentences, if it was made."""
    if test is None:
        return
    yield (
        f"Permutation test over {test.permutations:,} random pairings: the reconstructions are at a mean squared "
        f"error of {number(test.own)} from their own originals and of {number(test.shuffled)} from shuffled "
        f"ones (p = {test.p_value:.3g}); from shuffled ones of their own class "
        f"{number(test.shuffled_within_class)} (p = {test.p_value_within_class:.3g})."
    )
    if test.p_value > _SIGNIFICANT:
        yield (
            "By that test the reconstructions do not belong to their samples at all: their scores describe the set."
        )
