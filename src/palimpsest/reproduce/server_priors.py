"""Studies of the prior: from which public images a server's search starts, and from which domain they are."""

from collections.abc import Sequence
from itertools import product

from palimpsest.reproduce.paired import Comparison, compare, sentences
from palimpsest.reproduce.server_cells import (
    DISTANCE_NOTE,
    FRESH,
    PARAMETER_DISTANCE,
    PRIOR,
    RETAINED,
    RETAINED_NOTE,
    SETS,
    server_cell,
)
from palimpsest.reproduce.study import Cell, Study
from palimpsest.reproduce.summary import Summary

_STARTS = {"noise": None, "mean": "mean", "class": "class", "nearest": "nearest", "blurred": "blurred"}
_DOMAINS = ("mnist", "fashion_mnist", "cifar10", "lfw")


def _starts() -> list[Cell]:
    """Make cells that differ in the start only; all search in the spectrum."""
    return [
        server_cell(f"{data}-{name}", data, {"name": "dragd", "prior": prior, "space": "spectrum"})
        for data, (name, prior) in product(SETS, _STARTS.items())
    ]


def _domains() -> list[Cell]:
    """Make cells whose public images are from the same and from other data sets."""
    return [
        server_cell(
            f"{data}-prior-{prior}",
            data,
            {"name": "dragdp"},
            data={} if prior == data else {"auxiliary": prior},
        )
        for data, prior in product(SETS, _DOMAINS)
    ]


def _compare_starts(summaries: Sequence[Summary]) -> list[str]:
    return _compare(summaries, [(data, f"{data}-noise", f"{data}-") for data in SETS])


def _compare_domains(summaries: Sequence[Summary]) -> list[str]:
    return _compare(summaries, [(data, f"{data}-prior-{data}", f"{data}-prior-") for data in SETS])


def _compare(summaries: Sequence[Summary], families: Sequence[tuple[str, str, str]]) -> list[str]:
    """Compare the cells of each data set with its reference, in sentences.

    Args:
        summaries: The finished cells.
        families: Name of a data set, of its reference cell, and the beginning of its cells' names.
    """
    done = {summary.cell.name: summary for summary in summaries if "mse" in summary.scores}
    comparisons = list[Comparison]()
    for data, reference, beginning in families:
        for name, summary in done.items():
            if name.startswith(beginning) and name != reference and reference in done:
                kinds = [each.removeprefix(beginning) for each in (name, reference)]
                subject = f"{data}: the MSE of {kinds[0]} minus that of {kinds[1]}"
                comparisons += filter(None, [compare(subject, summary, done[reference])])
    return sentences(comparisons)


STUDIES = {
    study.name: study
    for study in (
        Study(
            "dragd-priors",
            "The start of the search",
            "DRAGDP, whose summary leaves open how much the public prior adds",
            _starts,
            columns=(RETAINED, *PRIOR),
            notes=(
                FRESH,
                "Noise: uniform noise. Mean: the mean public image. Class: the mean of the public images of the "
                "sample's class. Nearest: the public image whose gradient is nearest. Blurred: a random public image, "
                "blurred. All search in the spectrum in two stages.",
                RETAINED_NOTE,
            ),
            conclude=_compare_starts,
        ),
        Study(
            "dragd-domains",
            "Priors from the same and from another domain",
            "DRAGDP, domains other than faces, as its summary suggests",
            _domains,
            columns=(RETAINED, *PRIOR, PARAMETER_DISTANCE),
            notes=(FRESH, RETAINED_NOTE, DISTANCE_NOTE),
            conclude=_compare_domains,
        ),
    )
}
"""The studies by the name of their command."""
