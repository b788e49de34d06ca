"""The limits of a run: what it did not test, and the damage that unlearning did to the model."""

from collections.abc import Iterator

from palimpsest.metrics import Metrics, Rate
from palimpsest.report.inputs import ReportInput
from palimpsest.report.scores import bounded

_SMALLEST_DAMAGE = 0.02
"""A smaller loss of accuracy on samples that were not forgotten is no reason for a warning."""


def damage(metrics: Metrics) -> str:
    """Return a warning if unlearning made the model worse on samples that were not forgotten, otherwise an empty text.

    The intervals of both accuracies must not overlap, so that the choice of the samples does not explain the loss.

    Args:
        metrics: The metrics of a run.
    """
    forgetting = metrics.forgetting
    if forgetting is None:
        return ""
    before, after = forgetting.original.test, forgetting.unlearned.test
    first, second = (metrics.rates.get(f"accuracy_test_{model}") for model in ("original", "unlearned"))
    overlap = first is not None and second is not None and second.high >= first.low
    if before - after < _SMALLEST_DAMAGE or overlap:
        return ""
    samples = "new test data" if forgetting.retrained else "other data"
    return (
        f"Unlearning damaged the model: its accuracy on {samples} fell from {_written(before, first)} to "
        f"{_written(after, second)}. "
        "This is a loss of quality, not forgetting: the model got worse on data that it was not asked to forget."
    )


def _written(value: float, rate: Rate | None) -> str:
    return bounded(value, rate and (rate.low, rate.high))


def untested(page: ReportInput) -> Iterator[str]:
    """Yield what the run did not test, one phrase each.

    Args:
        page: The contents of the page.
    """
    metrics, data = page.metrics, page.noun
    name = str((page.config.get("attack") or {}).get("name", "this one"))
    tried = [member.attack for member in metrics.portfolio if not member.not_run] or [name]
    yield f"Attacks other than {', '.join(dict.fromkeys(tried))}."
    for member in metrics.portfolio:
        if member.not_run:
            yield f"The attack {member.attack}: {member.not_run.rstrip('.')}."
    if page.evidence == "proofs":
        yield "What a server learns that sees the clients' messages during training."
    else:
        yield "What an auditor learns who receives proofs of unlearning."
    yield 'Attackers who know more than this one, whose knowledge is listed under "What the attacker knew".'
    if metrics.reconstruction is None:
        yield f"Whether the results resemble the forgotten {data}, because these were not supplied."
    elif page.evidence == "proofs" and metrics.linkage is None and metrics.aggregation is None:
        yield f"Whether an attacker who holds possible {data} can match them to the proofs."
    control = metrics.positive_control
    if control is None and metrics.undefended_baseline is None:
        yield "Whether the attack would find a leak if there was one (no positive control was run)."
    if metrics.forgetting is None:
        yield "Whether the model has forgotten."
    if page.evidence == "proofs" and metrics.soundness is None:
        yield "Whether forged proofs would be accepted."
    yield "Other training runs: the numbers hold for one seed."
