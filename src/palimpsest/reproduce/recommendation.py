"""Which defense the frontier speaks for, in plain words."""

from collections.abc import Sequence

from palimpsest.reproduce.summary import Estimate, Summary

CHECKS = ("norm check", "range", "subspace", "spot check")
"""The columns that say what a proof is worth to a verifier."""
_SOUND = 0.9


def recommend(summaries: Sequence[Summary]) -> list[str]:
    """Which defense to choose, and why, in plain words.

    Args:
        summaries: The finished cells of the frontier.

    Returns:
        For each preset, a sentence for each goal: hide the image, hide which image it is, and keep a proof that can be
        checked.
    """
    done = [summary for summary in summaries if summary.seeds]
    presets = list(dict.fromkeys(summary.cell.preset for summary in done))
    return [
        f"{preset}: {sentence}" if len(presets) > 1 else sentence
        for preset in presets
        for sentence in _advise([summary for summary in done if summary.cell.preset == preset])
    ]


def _advise(summaries: Sequence[Summary]) -> list[str]:
    """The sentences of one preset."""
    defended = [summary for summary in summaries if summary.cell.changes.get("defenses")]
    bare = [summary for summary in summaries if summary not in defended]
    if any(_may_be_chance(summary, summary.scores["identification_top1"]) for summary in bare):
        return [
            "Without a defense the attack tells the images apart no better than chance: it says nothing of any."
        ]
    hidden = [one for one in defended if _may_be_chance(one, one.scores["identification_top1"])]
    return [_against_reconstruction(hidden), _against_confirmation(hidden)]


def _against_reconstruction(hidden: Sequence[Summary]) -> str:
    if not hidden:
        return "No defense here stops the reconstruction."
    best = max(hidden, key=_worth)
    if _worth(best) < _SOUND:
        return (
            "Every defense that stops the reconstruction leaves a proof that no check tells from a forgery."
        )
    return (
        f"Against reconstruction, {best.cell.name} is enough: the images are told apart no better than by chance, and "
        f"the {_best_check(best)} still tells forgeries from proofs (area {_worth(best):.2f})."
    )


def _against_confirmation(hidden: Sequence[Summary]) -> str:
    unconfirmed = [one for one in hidden if _may_be_chance(one, one.columns["confirmed"])]
    if not unconfirmed:
        return (
            "None hides which image was forgotten from an auditor who holds it: choose enough noise, or show the proof "
            "to nobody who may hold the images."
        )
    best = max(unconfirmed, key=_worth)
    sound = _worth(best) >= _SOUND
    kept = "still tells forgeries from proofs" if sound else "hardly tells them from forgeries any more"
    return (
        f"Who must not learn which image was forgotten, even holding it, can be given proofs under {best.cell.name}: "
        f"the {_best_check(best)} {kept} (area {_worth(best):.2f})."
    )


def _best_check(summary: Summary) -> str:
    return max(CHECKS, key=lambda check: summary.columns[check].mean)


def _worth(summary: Summary) -> float:
    return summary.columns[_best_check(summary)].mean


def _may_be_chance(summary: Summary, share: Estimate) -> bool:
    """Whether the share's interval holds what a guess gets; without an interval, whether it is not twice as much."""
    chance = 1 / summary.forgotten
    return share.low <= chance if share.low is not None else share.mean <= 2 * chance
