"""Which defence the frontier speaks for, in plain words."""

from collections.abc import Sequence

from palimpsest.reproduce.summary import Estimate, Summary

CHECKS = ("norm check", "range", "subspace", "spot check")
"""The columns that say what a proof is worth to a verifier."""
_SOUND = 0.9


def recommend(summaries: Sequence[Summary]) -> list[str]:
    """Which defence to choose, and why, in plain words.

    Args:
        summaries: The finished cells of the frontier.

    Returns:
        One sentence for each goal: hide the image, hide which image it is, and keep a proof that can be checked.
    """
    done = [summary for summary in summaries if summary.seeds]
    hidden = [one for one in done if _may_be_chance(one, one.scores["identification_top1"])]
    unconfirmed = [one for one in hidden if _may_be_chance(one, one.columns["confirmed"])]
    sentences = []
    checkable = sorted(hidden, key=_worth, reverse=True)
    if checkable and _worth(checkable[0]) >= _SOUND:
        best = checkable[0]
        sentences.append(
            f"Against reconstruction, {best.cell.name} is enough: the images are told apart no better than by "
            f"chance, and the {_best_check(best)} still tells forgeries from proofs (area {_worth(best):.2f})."
        )
    elif hidden:
        sentences.append(
            "Every defence that stops the reconstruction leaves a proof that no check tells from a forgery."
        )
    else:
        sentences.append("No defence here stops the reconstruction.")
    if not unconfirmed:
        sentences.append(
            "None hides which image was forgotten from an auditor who holds it: choose enough noise, or show the proof "
            "to nobody who may hold the images."
        )
        return sentences
    best = max(unconfirmed, key=_worth)
    worth = _worth(best)
    kept = (
        "still tells forgeries from proofs"
        if worth >= _SOUND
        else "hardly tells them from forgeries any more"
    )
    sentences.append(
        f"Who must not learn which image was forgotten, even holding it, can be given proofs under {best.cell.name}: "
        f"the {_best_check(best)} {kept} (area {worth:.2f})."
    )
    return sentences


def _best_check(summary: Summary) -> str:
    return max(CHECKS, key=lambda check: summary.columns[check].mean)


def _worth(summary: Summary) -> float:
    return summary.columns[_best_check(summary)].mean


def _may_be_chance(summary: Summary, share: Estimate) -> bool:
    """Whether the share's interval holds what a guess gets; without an interval, whether it is not twice as much."""
    chance = 1 / summary.forgotten
    return share.low <= chance if share.low is not None else share.mean <= 2 * chance
