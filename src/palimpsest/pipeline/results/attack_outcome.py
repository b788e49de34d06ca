"""What an attack on a case made, gathered for `metrics.json`, the report and the terminal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from palimpsest.artifacts.auditor import Pieces
from palimpsest.config import VerificationConfig
from palimpsest.datasets import ImageSet
from palimpsest.metrics import Belonging, SampleScores, Scores
from palimpsest.pipeline.results.metrics_json import scores_tree, verification_tree
from palimpsest.pipeline.results.outcome import Confirmed
from palimpsest.pipeline.results.rates import acceptance, attack_rates, certainty_tree
from palimpsest.pipeline.stages.auditor import Audited
from palimpsest.proofs import Verdicts
from palimpsest.report import judge, told_of_samples


@dataclass(frozen=True)
class CaseResults:
    """Everything that the stages of an attack on a case made.

    Args:
        pieces: What was brought.
        verdicts: What the verifier says of each proof.
        audited: What was reconstructed.
        scores: How close, by attacker, `reconstructions` first; empty without the truth.
        confirmed: What an auditor who holds the forgotten images could confirm, if that was asked.
        belonging: Whether the reconstructions belong to their samples; none without the truth.
    """

    pieces: Pieces
    verdicts: Verdicts
    audited: Audited
    scores: Mapping[str, Scores | SampleScores] = field(default_factory=dict)
    confirmed: Confirmed | None = None
    belonging: Belonging | None = None


def metrics_tree(
    results: CaseResults, seconds: dict[str, float], verification: VerificationConfig
) -> dict[str, Any]:
    """What `metrics.json` holds, as plain values.

    Args:
        results: The case's.
        seconds: Each stage's duration.
        verification: How the verifier's threshold was chosen.
    """
    tree: dict[str, Any] = {
        "proofs": {
            "count": len(results.pieces.proofs.vectors),
            "dimension": results.pieces.proofs.vectors.shape[1],
            "attested": results.pieces.proofs.attested,
        },
        "verification": verification_tree(results.verdicts),
        "attack": results.audited.reconstruction.facts,
        "seconds": seconds,
    }
    if results.scores:
        others = {name: one for name, one in results.scores.items() if name != "scores"}
        rates = attack_rates(results.scores["scores"])
        rates["accepted"] = acceptance(results.verdicts, verification)
        return {
            **tree,
            **scores_tree(results.scores["scores"], others, results.confirmed, None),
            **certainty_tree(rates, results.belonging, others.get("undefended")),
        }
    return tree


def summary(results: CaseResults, metrics: dict[str, Any]) -> str:
    """The first sentences of what came out, one a line."""
    truth = results.pieces.truth
    if truth is None:
        accepted = metrics["verification"]["accepted"]
        count, kind = len(results.verdicts.accepted), results.pieces.auxiliary.kind
        return (
            f"{count:,} proofs were turned into {kind}; without the truth nothing is scored.\n"
            f"The verifier accepted {accepted:,} of them (norm at most tau = {results.verdicts.tau:.4g})."
        )
    if not isinstance(truth, ImageSet):
        return "\n".join(told_of_samples(metrics, truth.kind))
    verdict = judge(metrics, labels=truth.labels)
    return "\n".join([verdict.headline, *verdict.findings])
