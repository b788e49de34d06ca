"""Last step of every audit and attack: write the metrics, the page and the summary."""

from palimpsest.datasets import ImageSet
from palimpsest.pipeline.results.metrics_json import build_metrics
from palimpsest.pipeline.results.outcome import Outcome
from palimpsest.pipeline.results.page import build_page
from palimpsest.pipeline.results.reconstruction_table import SampleTable
from palimpsest.pipeline.results.result import AuditResult
from palimpsest.report import judge, write_page
from palimpsest.runs import Run


def finish(run: Run, outcome: Outcome, *, command: str, words: tuple[str, ...] = ()) -> AuditResult:
    """Write the page, then `metrics.json`; samples other than images are also written to `reconstructions.csv`.

    Args:
        run: The open run.
        outcome: The results of all stages.
        command: The shell command that reproduces the run; empty for a call from Python.
        words: The word of each token; empty without a vocabulary.

    Returns:
        The run folder, the metrics and the report's verdict.
    """
    table = None if isinstance(outcome.auxiliary, ImageSet) else SampleTable(outcome.auxiliary, words)
    if table is not None:
        table.write(run.folder / "reconstructions.csv", outcome.scored.reconstruction.images)
    metrics = build_metrics(outcome, run.seconds())
    page = build_page(outcome, metrics, manifest=run.manifest, command=command, table=table)
    verdict = judge(page)
    write_page(run.folder, page, verdict)
    # metrics.json comes last, because it marks the run as finished.
    run.finish(metrics)
    return AuditResult(run.folder, metrics, str(verdict))
