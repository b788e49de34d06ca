"""What a reader needs to know before believing an audit's figures: certainty, chance, controls, and who failed."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from palimpsest.federation import Round
from palimpsest.federation.intake import NO_DATA
from palimpsest.metrics import Rate, area, judge_control, share
from palimpsest.report.scores import number
from palimpsest.results import Results
from palimpsest.unlearning.membership import FALSE_POSITIVE_RATE


def credibility_tree(results: Results) -> dict[str, Any]:
    """What `metrics.json` holds of this, as plain values: `rates`, `belonging`, `control` and `left_out`."""
    undefended = results.others.get("undefended")
    belonging = results.belonging
    return {
        "rates": {name: asdict(rate) for name, rate in _rates(results).items()},
        "belonging": None if belonging is None else asdict(belonging),
        "control": None if undefended is None else asdict(judge_control(undefended)),
        "left_out": left_out([*results.original.rounds, *results.unlearned.rounds]),
    }


def credibility_notes(results: Results) -> Iterator[str]:
    """Sentences for the report: which clients failed, and whether the images belong to their samples."""
    stages = {"training": results.original.rounds, "unlearning": results.unlearned.rounds}
    for stage, rounds in stages.items():
        for client, reasons in left_out(rounds).items():
            told = ", ".join(f"{reason} ({times} times)" for reason, times in reasons.items())
            yield f"What client {client} sent in {stage} was left out: {told}."
    belonging = results.belonging
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


def _rates(results: Results) -> dict[str, Rate]:
    scores, forgetting, data = results.scores, results.forgetting, results.data
    count, chance = len(scores.mse), scores.chance()
    verification = results.config.verification
    rates = {
        name: share(float(scores.columns()[name].mean()), count, chance=chance[name])
        for name in ("identification_top1", "identification_top5")
    }
    accepted = results.verdicts.accepted
    rates["accepted"] = share(
        float(accepted.double().mean()),
        len(accepted),
        # Of samples that nobody forgot the verifier accepts this share.
        chance=verification.quantile if verification.tau == "calibrated" else None,
    )
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
        rates["labels_right"] = share(
            results.served.labels_right, count, chance=float(labels.bincount().max()) / count
        )
    return rates
