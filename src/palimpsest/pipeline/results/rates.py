"""What a reader needs to know before believing an audit's figures: certainty, chance, controls, and who failed."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from torch import Tensor

from palimpsest.config import VerificationConfig
from palimpsest.federation import Round
from palimpsest.federation.intake import NO_DATA
from palimpsest.metrics import Belonging, Rate, SampleScores, Scores, area, judge_control, share
from palimpsest.pipeline.results.outcome import Results
from palimpsest.proofs import Verdicts
from palimpsest.report.scores import number
from palimpsest.unlearning.membership import FALSE_POSITIVE_RATE


def credibility_tree(results: Results) -> dict[str, Any]:
    """What `metrics.json` holds of this, as plain values: `rates`, `belonging`, `control` and `left_out`."""
    return {
        **certainty_tree(_rates(results), results.belonging, results.control),
        "left_out": left_out([*results.original.rounds, *results.unlearned.rounds]),
    }


def certainty_tree(
    rates: dict[str, Rate], belonging: Belonging | None, control: Scores | SampleScores | None
) -> dict[str, Any]:
    """The part of it that needs no federation: `rates`, `belonging` and `control`.

    Args:
        rates: Each share with its interval and its chance level.
        belonging: The permutation test's result, if it was made.
        control: The attack's scores on undefended proofs, if there is a defence.
    """
    return {
        "rates": {name: asdict(rate) for name, rate in rates.items()},
        "belonging": None if belonging is None else asdict(belonging),
        "control": None if control is None else asdict(judge_control(control)),
    }


def credibility_notes(results: Results) -> Iterator[str]:
    """Sentences for the report: which clients failed, and whether the images belong to their samples."""
    stages = {"training": results.original.rounds, "unlearning": results.unlearned.rounds}
    for stage, rounds in stages.items():
        for client, reasons in left_out(rounds).items():
            told = ", ".join(f"{reason} ({times} times)" for reason, times in reasons.items())
            yield f"What client {client} sent in {stage} was left out: {told}."
    yield from belonging_notes(results.belonging)


def belonging_notes(belonging: Belonging | None) -> Iterator[str]:
    """What the permutation test says, if it was made."""
    if belonging is None:
        return
    yield (
        f"Permutation test over {belonging.permutations:,} random pairings: the reconstructions are at a mean squared "
        f"error of {number(belonging.own)} from their own originals and of {number(belonging.shuffled)} from shuffled "
        f"ones (p = {belonging.p_value:.3g}); from shuffled ones of their own class "
        f"{number(belonging.shuffled_within_class)} (p = {belonging.p_value_within_class:.3g})."
    )
    if belonging.p_value > _SIGNIFICANT:
        yield "By that test the reconstructions do not belong to their samples at all: their figures are the set's."


_SIGNIFICANT = 0.05


def left_out(rounds: list[Round]) -> dict[int, dict[str, int]]:
    """Each client whose replies were left out, with the reasons and how often; to hold no data is no failure."""
    counted: dict[int, Counter[str]] = {}
    for one in rounds:
        for client, reason in one.left_out.items():
            if reason != NO_DATA:
                counted.setdefault(client, Counter())[reason] += 1
    return {client: dict(reasons) for client, reasons in sorted(counted.items())}


def attack_rates(scores: Scores | SampleScores) -> dict[str, Rate]:
    """How many of the samples were told apart at the first guess, and in five.

    Args:
        scores: The first attacker's.
    """
    means, chance = scores.reconstruction(), scores.chance()
    return {
        name: share(float(means[name] or 0.0), int(means["count"] or 0), chance=chance[name])
        for name in ("identification_top1", "identification_top5")
    }


def acceptance(verdicts: Verdicts, verification: VerificationConfig) -> Rate:
    """The share of proofs that the verifier accepts; of samples that nobody forgot it accepts the quantile."""
    chance = verification.quantile if verification.tau == "calibrated" else None
    accepted = verdicts.accepted
    return share(float(accepted.double().mean()), len(accepted), chance=chance)


def labels_rate(right: float, labels: Tensor) -> Rate:
    """The share of labels that an attack had right; by chance it has that of the commonest class.

    Args:
        right: The share.
        labels: The true ones, `[n]`.
    """
    return share(right, len(labels), chance=float(labels.bincount().max()) / len(labels))


def labels_note(rate: Rate) -> str:
    """That share in a sentence."""
    return (
        f"The attack had {rate.value:.0%} of the forgotten samples' labels right (95 % interval {rate.low:.0%} to "
        f"{rate.high:.0%}; naming the commonest class always gives {rate.chance:.0%})."
    )


def _rates(results: Results) -> dict[str, Rate]:
    forgetting, data = results.forgetting, results.data
    count = len(results.scores.mse)
    rates = attack_rates(results.scores)
    rates["accepted"] = acceptance(results.verdicts, results.config.verification)
    sizes = {
        "retained": len(data.train) - count,
        "forgotten": count,
        "test": len(data.test),
    }
    models = {
        "original": forgetting.original,
        "unlearned": forgetting.unlearned,
        "retrained": forgetting.retrained,
    }
    for model, behaviour in models.items():
        for split, size in sizes.items():
            if size:
                rates[f"accuracy_{split}_{model}"] = share(
                    getattr(behaviour, split), size, chance=1 / data.train.classes
                )
        rates[f"membership_auc_{model}"] = area(behaviour.membership.auc, count, forgetting.others)
        rates[f"membership_tpr_{model}"] = share(behaviour.membership.tpr, count, chance=FALSE_POSITIVE_RATE)
    if results.served is not None:
        labels = data.train.labels[results.unlearned.forgotten]
        rates["labels_right"] = labels_rate(results.served.labels_right, labels)
    return rates
