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


def test_the_page_of_an_audit_names_data_unlearning_and_defenses(data: FederatedData) -> None:
    contents = page(audit_outcome(data, defenses=[{"name": "prune"}, {"name": "sign"}], seed=7))
    assert contents.title == "igf attack on digits: sample-level unlearning (retrain)"
    assert dict(contents.facts) == {
        "Data": "digits",
        "Model": "convnet",
        "Unlearning": "sample level, retrain",
        "Forgotten": "4 of 75 training samples, held by 1 of 5 clients",
        "Defense": "prune, sign",
        "Attack": "igf",
        "Seed": "7",
    }
    assert contents.command == "palimpsest audit config.yaml"
    assert contents.owners is not None
    assert contents.owners.tolist() == [2, 2, 2, 2]
    assert contents.versions == {"torch": "9.9"}
    assert contents.history == {"loss": [2.0, 1.0]}


def test_the_page_of_an_attack_on_proofs_names_the_file_and_the_oracle() -> None:
    contents = page(proofs_outcome(), command="palimpsest attack case.yaml")
    assert contents.title == "strongest attack on proofs.safetensors"
    assert dict(contents.facts) == {
        "Proofs": "4 with 300 values each",
        "Model": "not available",
        "Oracle": "six directions",
        "Auxiliary samples": "6",
        "Forgotten": "samples not supplied",
        "Defense": "none",
        "Attack": "strongest",
        "Seed": "1234",
    }
    assert contents.command == "palimpsest attack case.yaml"
    assert contents.accepted is not None
    assert contents.accepted.tolist() == [True, True, True, False]
    # The originals are unknown.
    assert (contents.originals, contents.labels, contents.per_image) == (None, None, {})


def test_the_page_of_an_attack_on_gradients_names_batches_and_labels() -> None:
    contents = page(gradients_outcome())
    assert contents.title == "dragd attack on seen.safetensors"
    facts = dict(contents.facts)
    assert facts["Gradients"] == "2 batches of 7 values each"
    assert facts["Batch"] == "3 retained and 2 forgotten samples"
    assert facts["Labels"] == "known"
    assert facts["Forgotten"] == "4 samples, supplied for the scores"
    assert "Oracle" not in facts
    assert (contents.accepted, contents.norms, contents.owners) == (None, None, None)
    assert contents.class_names == ("one",)
    assert contents.command == "palimpsest attack config.yaml"


def test_scored_images_are_shown_with_their_originals() -> None:
    contents = page(proofs_outcome(scored=True))
    assert contents.originals is not None
    assert torch.equal(contents.originals, TRUTH.images)
    assert set(contents.per_image) >= {"mse", "rank"}


def test_samples_other_than_images_are_shown_as_text() -> None:
    rows = RowSet("table", torch.rand(4, 2), torch.zeros(4, dtype=torch.int64), 1, ("age", "height"))
    outcome = replace(
        proofs_outcome(), scored=Scored(Reconstruction(rows.rows, {}, {})), auxiliary=rows, forgotten=rows
    )
    contents = page(outcome, table=SampleTable(rows))
    assert contents.kind == "rows of a table"
    assert contents.columns == ["age", "height"]
    assert contents.cells == contents.truth_cells
    assert len(contents.cells) == 4
    assert contents.originals is None


def test_the_hashes_name_data_and_never_the_forgotten_samples(data: FederatedData) -> None:
    hashes = dict(page(audit_outcome(data)).hashes)
    assert hashes["training data"] == data.train.fingerprint
    assert list(hashes) == ["configuration", "training data", "auxiliary data"]
    scored = dict(page(proofs_outcome(scored=True)).hashes)
    assert TRUTH.fingerprint not in scored.values()
    assert "training data" not in scored
