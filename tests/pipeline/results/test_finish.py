import json
from dataclasses import replace

import pytest
import torch
from tests.support.outcomes import proofs_outcome

from palimpsest.attacks import Reconstruction
from palimpsest.datasets import TokenSet
from palimpsest.errors import RunError
from palimpsest.pipeline.results.finish import finish
from palimpsest.pipeline.stages.scoring import Scored
from palimpsest.runs import Run


def test_a_finished_run_has_a_page_and_metrics(run: Run) -> None:
    result = finish(run, proofs_outcome(), command="palimpsest attack case.yaml")
    assert result.folder == run.folder
    assert json.loads((run.folder / "metrics.json").read_text()) == result.metrics.tree()
    assert "palimpsest attack case.yaml" in result.report.read_text()
    assert "The forgotten samples are unknown" in result.verdict
    assert not (run.folder / "reconstructions.csv").exists()


def test_metrics_are_written_last(run: Run) -> None:
    """A run with a `metrics.json` counts as finished, so nothing that can fail may come after it."""
    (run.folder / "report.html").mkdir()
    with pytest.raises(RunError):
        finish(run, proofs_outcome(), command="")
    assert (run.folder / "report.safetensors").is_file()
    assert not (run.folder / "metrics.json").exists()


def test_samples_other_than_images_are_also_written_as_a_table(run: Run) -> None:
    tokens = TokenSet("text", torch.tensor([[1, 0], [0, 0]]), torch.zeros(2, dtype=torch.int64), 1)
    found = Scored(Reconstruction(tokens.tokens, {}, {}))
    outcome = replace(proofs_outcome(), scored=found, auxiliary=tokens)
    finish(run, outcome, command="", words=("the", "cat"))
    assert (run.folder / "reconstructions.csv").read_text() == "tokens,text\n1 0,cat the\n0 0,the the\n"
