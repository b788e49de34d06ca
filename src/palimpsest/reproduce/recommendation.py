"""Recommendation of a defense from the results of the frontier study."""

from collections.abc import Sequence

from palimpsest.reproduce.summary import Estimate, Summary, format_estimate

CHECKS = ("norm check", "range", "subspace", "spot check")
"""Headings of the columns with the verifiers' areas under the ROC curve."""
_SOUND = 0.9


def recommend(summaries: Sequence[Summary]) -> list[str]:
    """Recommend a defense for each goal, in sentences.

    Args:
        summaries: The cells of the frontier study; unfinished ones are skipped.

    Returns:
        For each preset, a sentence about defenses against reconstruction and one about defenses against linkage, each
        with the soundness of the defended proofs.
    """
    done = [summary for summary in summaries if summary.seeds]
    presets = list(dict.fromkeys(summary.cell.preset for summary in done))
    return [
        f"{preset}: {sentence}" if len(presets) > 1 else sentence
        for preset in presets
        for sentence in _advise([summary for summary in done if summary.cell.preset == preset])
    ]


def _advise(summaries: Sequence[Summary]) -> list[str]:
    """Return the sentences of one preset."""
    defended = [summary for summary in summaries if summary.cell.changes.get("defenses")]
    undefended = [summary for summary in summaries if summary not in defended]
    if any(_may_be_chance(summary, summary.scores["identification_top1"]) for summary in undefended):
        return [
            "Without a defense, the attack identifies images no better than chance, so it can't evaluate any defense."
        ]
    hidden = [
        summary for summary in defended if _may_be_chance(summary, summary.scores["identification_top1"])
    ]
    return [_against_reconstruction(hidden), _against_linkage(hidden)]


def _against_reconstruction(hidden: Sequence[Summary]) -> str:
    if not hidden:
        return "No tested defense stops the reconstruction."
    best = max(hidden, key=_soundness)
    if _soundness(best) < _SOUND:
        return (
            "Under every defense that stops the reconstruction, no verifier separates proofs from forgeries."
        )
    return (
        f"Against reconstruction, {best.cell.name} is enough. Images are identified no better than by chance, and the "
        f"{_best_check(best)} still separates forgeries from proofs ({_area(best)})."
    )


def _against_linkage(hidden: Sequence[Summary]) -> str:
    unlinked = [summary for summary in hidden if _may_be_chance(summary, summary.columns["linked"])]
    if not unlinked:
        return (
            "No tested defense stops both the reconstruction and linkage by an auditor who holds the forgotten images. "
            "Add enough noise, or share proofs only with parties that can't hold the images."
        )
    best = max(unlinked, key=_soundness)
    sound = _soundness(best) >= _SOUND
    verdict = "still separates forgeries from proofs" if sound else "hardly separates forgeries from proofs"
    return (
        f"Against linkage by an auditor who holds the forgotten images, use {best.cell.name}. The "
        f"{_best_check(best)} {verdict} ({_area(best)})."
    )


def _best_check(summary: Summary) -> str:
    return max(CHECKS, key=lambda check: summary.columns[check].mean)


def _soundness(summary: Summary) -> float:
    return summary.columns[_best_check(summary)].mean


def _area(summary: Summary) -> str:
    """Return the area under the ROC curve of the best check, with its interval."""
    return f"area {format_estimate(summary.columns[_best_check(summary)], '.2f')}"


def _may_be_chance(summary: Summary, share: Estimate) -> bool:
    """Return whether the interval reaches down to chance or, without an interval, the share is at most twice chance."""
    chance = 1 / summary.forgotten
    return share.low <= chance if share.low is not None else share.mean <= 2 * chance
