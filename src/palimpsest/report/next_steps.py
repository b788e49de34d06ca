"""The next steps that follow from the findings of a run."""

from collections.abc import Iterator

from palimpsest.metrics import Grade
from palimpsest.report.inputs import ReportInput

_STEPS = 3
_FEW = 50
_SOUND = 0.9


def next_steps(page: ReportInput, grade: Grade, *, damaged: bool) -> tuple[str, ...]:
    """Return the three most urgent steps, the most urgent one first.

    Args:
        page: The contents of the page.
        grade: The verdict on the run.
        damaged: Whether unlearning damaged the model.
    """
    steps = [*_on_sharing(page, grade)]
    if damaged:
        steps.append(
            "Do not put the unlearned model into service before its accuracy is restored, for example by further "
            "training on the remaining data."
        )
    steps += [*_on_acceptance(page), *_on_repetition(page, grade)]
    return tuple(steps[:_STEPS])


def _on_sharing(page: ReportInput, grade: Grade) -> Iterator[str]:
    """Yield what to do with the proofs or gradients, and what to change in them."""
    sent, data, one = page.evidence, page.noun, page.noun_singular
    defenses = ", ".join(str(defense.get("name", "")) for defense in page.config.get("defenses") or ())
    change = (
        f"The defense in use ({defenses}) does not prevent this: have it replaced by a stronger one, or aggregate"
        if defenses
        else "Aggregate"
    )
    aggregated = (
        f"{sent} per client, so that none belongs to a single {one}, and repeat this test on the result."
        if page.metrics.aggregation is None
        else f"{sent} over more {data}, and repeat this test on the result."
    )
    if grade is Grade.LEAKS:
        yield f"Do not publish these {sent}. Give them only to people who may see the {data} themselves."
        yield f"{change} {aggregated}"
    elif grade is Grade.LEAKS_TO_CANDIDATE_HOLDERS:
        yield f"Do not publish these {sent}. Give them only to people who may know whose data was to be forgotten."
        yield f"{change} {aggregated}"
    elif grade is Grade.NO_LEAK_FOUND:
        yield f"Give the {sent} only to those who need them: this result does not clear them for publication."
    else:
        yield f"Treat these {sent} as personal data until a test gives a clear result."


def _on_acceptance(page: ReportInput) -> Iterator[str]:
    """Yield a warning if the check of the norm accepts forged proofs."""
    soundness = page.metrics.soundness
    if soundness is None or "norm" not in soundness.worst or soundness.worst["norm"][0] >= _SOUND:
        return
    sound = [name for name, area in soundness.worst.items() if area[0] >= _SOUND]
    other = f": require the {sound[0].replace('-', ' ')} as well" if sound else ""
    yield f"Do not take an accepted proof as evidence of deletion, because the usual check accepts forgeries{other}."


def _on_repetition(page: ReportInput, grade: Grade) -> Iterator[str]:
    """Yield how to repeat the test, so that it says more."""
    scores = page.metrics.reconstruction
    if scores is None:
        yield f"Repeat with the forgotten {page.noun} (--truth), so that the results can be compared with them."
    if scores is not None and scores.count < _FEW:
        yield (
            f"Repeat with at least {_FEW} forgotten {page.noun}: {scores.count} are too few for a firm conclusion."
        )
    if grade in (Grade.NO_LEAK_FOUND, Grade.INCONCLUSIVE):
        yield "Repeat with another attack (--attack.name), more auxiliary samples or longer training (--attack.epochs)."
    yield "Repeat with another seed (--seed), because this page describes a single run."
    yield "Keep this page under the same rules as the training data, and share only its redacted version (--redact)."
