from pathlib import Path
from typing import Any

import pytest
from tests.support.artifacts import Make
from tests.support.server_artifacts import Client, write_table

from palimpsest.artifacts import ArtifactsConfig
from palimpsest.doctor import Finding, Level, examine


def by_subject(config: ArtifactsConfig, here: Path) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for one in examine(config, folder=here):
        found.setdefault(one.subject, []).append(one)
    return found


def test_objective_is_zero_at_the_true_images(served: Make, client: Client, here: Path) -> None:
    truth = {"truth": write_table(client, "forgotten"), "retained_truth": write_table(client, "retained")}
    for name in ("dragd", "dragdp", "joint", "dlg", "idlg", "inverting-gradients"):
        found = by_subject(served(attack={"name": name}, **truth), here)
        assert [one.level for one in found["objective"]] == [Level.OK], (name, found["objective"])
    off = by_subject(served(attack={"name": "direct-difference"}, **truth), here)
    assert off["objective"][0].level is Level.WARNING
    assert "both gradients are correct" in off["objective"][0].message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda flat: {name: 5 * value for name, value in flat.items()}, "5 times the true images'"),
        (lambda flat: {name: value.flip(0) for name, value in flat.items()}, "order of the batches"),
        (lambda flat: flat | {"gradients_after": flat["gradients_before"]}, "nothing was forgotten"),
    ],
)
def test_explains_wrong_gradients(served: Make, client: Client, here: Path, change: Any, words: str) -> None:
    path = client.write(change(client.flat) | client.labels, "wrong.safetensors")
    truth = {"truth": write_table(client, "forgotten"), "retained_truth": write_table(client, "retained")}
    found = by_subject(served(path=path, **truth), here)
    errors = [one.message for findings in found.values() for one in findings if one.level is Level.ERROR]
    assert any(words in sentence for sentence in errors), errors


def test_the_objective_of_noisy_gradients_is_not_checked(served: Make, client: Client, here: Path) -> None:
    truth = {"truth": write_table(client, "forgotten"), "retained_truth": write_table(client, "retained")}
    found = by_subject(served(**truth, defenses=["gaussian"]), here)
    assert "The gradients have noise" in found["truth"][0].message
    assert "objective" not in found


def test_reports_missing_labels_and_truth(served: Make, client: Client, here: Path) -> None:
    found = by_subject(served(path=client.write(client.flat, "bare.safetensors")), here)
    assert found["labels"][0].level is Level.ERROR
    assert found["truth"][0].level is Level.WARNING
    wrong = client.flat | {name: (value + 1) % 3 for name, value in client.labels.items()}
    truth = {"truth": write_table(client, "forgotten"), "retained_truth": write_table(client, "retained")}
    found = by_subject(served(path=client.write(wrong, "labels.safetensors"), **truth), here)
    assert "numbering of the classes" in found["labels"][0].message
