from dataclasses import replace

import torch
from tests.support.outcomes import TRUTH, audit_outcome, gradients_outcome, proofs_outcome

from palimpsest.attacks import Reconstruction
from palimpsest.datasets import FederatedData, RowSet
from palimpsest.pipeline.results.metrics_json import build_metrics
from palimpsest.pipeline.results.outcome import Outcome
from palimpsest.pipeline.results.page import build_page
from palimpsest.pipeline.results.reconstruction_table import SampleTable
from palimpsest.pipeline.stages.scoring import Scored
from palimpsest.report import ReportInput
from palimpsest.runs import Manifest

MANIFEST: Manifest = {"config": {}, "versions": {"torch": "9.9"}, "threads": 1, "stages": {}}


def page(outcome: Outcome, *, command: str = "", table: SampleTable | None = None) -> ReportInput:
    return build_page(outcome, build_metrics(outcome, {}), manifest=MANIFEST, command=command, table=table)


def test_an_audit_names_data_unlearning_and_defenses(data: FederatedData) -> None:
    shown = page(audit_outcome(data, defenses=[{"name": "prune"}, {"name": "sign"}], seed=7))
    assert shown.title == "igf against sample-level unlearning by retrain on digits"
    assert dict(shown.facts) == {
        "Data": "digits",
        "Model": "convnet",
        "Unlearning": "sample level, retrain",
        "Defense": "prune, sign",
        "Attack": "igf",
        "Seed": "7",
    }
    assert shown.command == "palimpsest audit config.yaml"
    assert shown.owners is not None
    assert shown.owners.tolist() == [2, 2, 2, 2]
    assert shown.versions == {"torch": "9.9"}
    assert shown.history == {"loss": [2.0, 1.0]}


def test_an_attack_on_proofs_names_the_file_and_the_oracle() -> None:
    shown = page(proofs_outcome(), command="palimpsest attack case.yaml")
    assert shown.title == "igf against proofs.safetensors"
    assert dict(shown.facts) == {
        "Proofs": "4 of 300 numbers",
        "Model": "not available",
        "Oracle": "six directions",
        "Auxiliary samples": "6",
        "Defense": "none",
        "Attack": "igf",
        "Seed": "1234",
    }
    assert shown.command == "palimpsest attack case.yaml"
    assert shown.accepted is not None
    assert shown.accepted.tolist() == [True, True, True, False]
    # Without the forgotten samples there is nothing beside the reconstructions.
    assert (shown.originals, shown.labels, shown.per_image) == (None, None, {})


def test_an_attack_on_gradients_names_the_batches_and_what_is_known_of_labels() -> None:
    shown = page(gradients_outcome())
    assert shown.title == "dragd against seen.safetensors"
    facts = dict(shown.facts)
    assert facts["Gradients"] == "2 batches, 7 numbers each"
    assert facts["Batch"] == "3 retained and 2 forgotten samples"
    assert facts["Labels"] == "known"
    assert "Oracle" not in facts
    assert (shown.accepted, shown.norms, shown.owners) == (None, None, None)
    assert shown.class_names == ("one",)
    assert shown.command == "palimpsest attack config.yaml"


def test_scored_images_stand_beside_their_originals() -> None:
    shown = page(proofs_outcome(scored=True))
    assert shown.originals is not None
    assert torch.equal(shown.originals, TRUTH.images)
    assert set(shown.per_image) >= {"mse", "rank"}


def test_samples_that_are_not_images_are_shown_as_text() -> None:
    rows = RowSet("table", torch.rand(4, 2), torch.zeros(4, dtype=torch.int64), 1, ("age", "height"))
    outcome = replace(
        proofs_outcome(), scored=Scored(Reconstruction(rows.rows, {}, {})), auxiliary=rows, forgotten=rows
    )
    shown = page(outcome, table=SampleTable(rows))
    assert shown.kind == "rows of a table"
    assert shown.columns == ["age", "height"]
    assert shown.cells == shown.truth_cells
    assert len(shown.cells) == 4
    assert shown.originals is None
