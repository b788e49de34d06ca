"""The end of every audit and every attack: metrics, page, summary."""

from palimpsest.datasets import ImageSet
from palimpsest.pipeline.results.metrics_json import build_metrics
from palimpsest.pipeline.results.outcome import Outcome
from palimpsest.pipeline.results.page import build_page
from palimpsest.pipeline.results.reconstruction_table import SampleTable
from palimpsest.pipeline.results.result import AuditResult
from palimpsest.report import judge, write_page
from palimpsest.runs import Run


def finish(run: Run, outcome: Outcome, *, command: str, words: tuple[str, ...] = ()) -> AuditResult:
    """Write the page, then `metrics.json`; samples that are not images also go into `reconstructions.csv`.

    Args:
        run: The run, its folder open.
        outcome: What the stages made.
        command: The shell command that makes the run again; empty where it was called from Python.
        words: The word of each token; empty without a vocabulary.
    """
    table = None if isinstance(outcome.auxiliary, ImageSet) else SampleTable(outcome.auxiliary, words)
    if table is not None:
        table.write(run.folder / "reconstructions.csv", outcome.scored.reconstruction.images)
    metrics = build_metrics(outcome, run.seconds())
    page = build_page(outcome, metrics, manifest=run.manifest, command=command, table=table)
    verdict = judge(page)
    write_page(run.folder, page, verdict)
    # Last: a run with a metrics.json is finished.
    run.finish(metrics)
    return AuditResult(run.folder, metrics, str(verdict))
