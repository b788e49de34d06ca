"""Membership tests on shadow federations: table, ROC curves and plain words of the report page."""

from collections.abc import Sequence
from dataclasses import dataclass

from palimpsest.metrics import Metrics
from palimpsest.metrics.schema_membership import MembershipMetrics, MembershipTestMetrics
from palimpsest.report.drawing import drawing_settings, new_figure
from palimpsest.report.figures import STYLE, Plot
from palimpsest.report.scores import INTERVAL, bounded, number, percent
from palimpsest.report.svg import COLORS, inline_svg
from palimpsest.storage import Parameters

TITLES = {
    "yeom": "threshold on the loss (Yeom)",
    "lira": "LiRA, online",
    "lira-offline": "LiRA, offline",
    "rmia": "RMIA, online",
    "rmia-offline": "RMIA, offline",
    "u-lira": "U-LiRA",
    "ruli": "RULI",
    "update-aware": "both models, one rule for all (Chen)",
    "update-lira": "both models, a rule for each sample",
    "acceptance": "both models, norm check",
    "proof": "both models and proofs, nearest proof",
}
"""Titles of the tests by name."""
_DRAWN = {
    "yeom": ("faint", ":"),
    "lira": ("blue", "--"),
    "u-lira": ("rubric", "-"),
    "update-lira": ("ink", "-."),
}
_CLEAR = 0.5


@dataclass(frozen=True)
class TestRow:
    """Row of the table.

    Args:
        title: Name of the test.
        group: Whose membership is tested, such as "forgotten".
        cells: Area before and after unlearning, then the found members after unlearning at each rate, with intervals.
    """

    title: str
    group: str
    cells: Sequence[tuple[str, str]]


def membership_rows(metrics: Metrics) -> list[TestRow]:
    """Return a row for each test and group.

    Args:
        metrics: The metrics of a run; without membership tests on shadow federations, there are no rows.
    """
    membership = metrics.membership
    if membership is None:
        return []
    rows = list[TestRow]()
    for group in membership.pairs:
        for name in dict.fromkeys(test.test for test in membership.tests):
            before, after = (membership.find(name, group, model) for model in ("original", "unlearned"))
            if after is None:
                continue
            rows.append(TestRow(TITLES[name], group, [_area(before), _area(after), *_found(after)]))
    return rows


def membership_sentences(metrics: Metrics, samples: str) -> list[str]:
    """Say in plain words what the tests found.

    Args:
        metrics: The metrics of a run.
        samples: The kind of the samples, such as "images".
    """
    membership = metrics.membership
    if membership is None:
        return [
            f"Only a threshold on the loss was tried, the weakest test: it can't rule out that single {samples} are "
            "remembered. Set membership.shadows to 16 for tests of each sample."
        ]
    return [
        _verdict(membership, samples, "u-lira", "forgotten", "whoever holds the unlearned model"),
        _verdict(
            membership,
            samples,
            "update-lira",
            "forgotten",
            "whoever holds the models before and after unlearning",
        ),
        _of_proofs(membership, samples),
        _retained(membership, samples),
    ]


def membership_plots(curves: Parameters) -> list[Plot]:
    """Plot the ROC curves of the tests on the forgotten samples after unlearning, on logarithmic axes.

    Args:
        curves: False and true positive rates by test, `[points, 2]`; empty without shadow federations.
    """
    drawn = {name: curves[name] for name in _DRAWN if name in curves}
    if not drawn:
        return []
    least = min(float(curve[curve > 0].min()) for curve in drawn.values())
    with drawing_settings(STYLE):
        figure = new_figure(4.6, 3.4)
        axes = figure.subplots()
        for name, curve in drawn.items():
            color, line = _DRAWN[name]
            axes.plot(
                curve[:, 0].numpy(),
                curve[:, 1].numpy(),
                color=COLORS[color],
                linestyle=line,
                label=TITLES[name],
            )
        axes.plot([least, 1], [least, 1], color=COLORS["faint"], linewidth=0.7, label="chance")
        axes.set(xscale="log", yscale="log", xlim=(least, 1), ylim=(least, 1))
        axes.set(xlabel="false positive rate", ylabel="share of forgotten samples found")
        axes.legend(fontsize=8)
        text = f"ROC curves of {len(drawn)} membership tests on the unlearned model, on logarithmic axes."
        svg = inline_svg(figure, name="membership", description=text)
    caption = "Further up and left: more exposed. The diagonal is a random guess."
    return [Plot("Membership tests after unlearning", svg, caption)]


def _verdict(membership: MembershipMetrics, samples: str, name: str, group: str, who: str) -> str:
    test = membership.find(name, group, "unlearned")
    assert test is not None, "an audit's shadow federations unlearn"
    exposed = test.auc.low > _CLEAR
    opening = f"{TITLES[name]}: {who} {'can' if exposed else 'could not'} distinguish {group} {samples} from {samples} "
    return (
        f"{opening}that were never trained on (area {number(test.auc.value)}, {INTERVAL} "
        f"{number(test.auc.low)} to {number(test.auc.high)}; 0.5 is chance)."
    )


def _of_proofs(membership: MembershipMetrics, samples: str) -> str:
    if membership.find("proof", "forgotten", "unlearned") is None:
        return (
            f"The proofs are not compared with single {samples} here. The linkage attack says what they add."
        )
    return _verdict(membership, samples, "proof", "forgotten", "whoever also holds the proofs")


def _retained(membership: MembershipMetrics, samples: str) -> str:
    before, after = (membership.find("lira", "retained", model) for model in ("original", "unlearned"))
    if before is None or after is None:
        return f"No retained {samples} of the forgotten classes could be tested."
    worse = after.auc.low > before.auc.high
    change = "exposes the retained" if worse else "does not measurably expose the retained"
    return (
        f"Unlearning {change} {samples} further: LiRA's area on them is {_written(before)} before and "
        f"{_written(after)} after."
    )


def _written(test: MembershipTestMetrics) -> str:
    return bounded(test.auc.value, (test.auc.low, test.auc.high), number)


def _area(test: MembershipTestMetrics | None) -> tuple[str, str]:
    if test is None:
        return "", ""
    return number(test.auc.value), f"{number(test.auc.low)} to {number(test.auc.high)}"


def _found(test: MembershipTestMetrics) -> list[tuple[str, str]]:
    cells = list[tuple[str, str]]()
    for detection in test.detections:
        found = detection.found
        if found is None:
            cells.append(("not measurable", f"needs {detection.needed:,} others"))
        else:
            cells.append((percent(found.value), f"{percent(found.low)} to {percent(found.high)}"))
    return cells
