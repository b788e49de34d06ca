"""The README's commands for rows and sentences: prove, defend, verify, attack and score."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.environments import Environment

from palimpsest.distribution import DISTRIBUTION

EXAMPLE = Path(__file__).parents[2] / "examples" / "tabular"
SMALL = "--scoring.bootstrap 50"


@pytest.fixture(scope="module")
def shell(installed: Callable[..., Environment]) -> Callable[..., Any]:
    """Function that runs a command line of the README with the extra named there."""
    assert "`pip install '../..[datasets]'`" in (EXAMPLE / "README.md").read_text(encoding="utf-8")
    return installed(f"{DISTRIBUTION}[datasets]").run


@pytest.fixture(scope="module")
def proven(
    tmp_path_factory: pytest.TempPathFactory, shell: Callable[..., Any], readme: Callable[[str], list[str]]
) -> Path:
    """Folder of the example after training and proving of both federations."""
    folder = tmp_path_factory.mktemp("tabular") / "tabular"
    shutil.copytree(EXAMPLE, folder)
    train, prove, _, prove_text, *_ = readme("tabular")
    shell(train, folder)
    assert "20 proofs of 1,058 numbers" in shell(prove, folder).stdout
    assert "20 proofs of 3,743 numbers" in shell(prove_text, folder).stdout
    return folder


def read_results(folder: Path) -> tuple[dict[str, Any], list[list[str]]]:
    """Return the metrics and the lines of the reconstructions."""
    metrics = json.loads((folder / "metrics.json").read_text())
    with (folder / "reconstructions.csv").open() as file:
        return metrics, list(csv.reader(file))


def test_reconstructs_rows(
    proven: Path, shell: Callable[..., Any], readme: Callable[[str], list[str]]
) -> None:
    _, _, attack, _, _, defend, verify = readme("tabular")
    output = shell(attack, proven, extra=SMALL).stdout
    assert "Forgotten samples can be reconstructed." in output
    metrics, lines = read_results(proven / "table" / "run")
    assert metrics["reconstruction"]["mse"] < 1e-6
    assert metrics["reconstruction"]["identification_top1"] == 1
    assert 0.5 < metrics["baselines"]["typical"]["mse"] < 2
    with (proven / "table" / "forgotten.csv").open() as file:
        truth = list(csv.reader(file))
    assert lines[0] == truth[0][:-1]
    assert [float(value) for value in lines[1]] == pytest.approx([float(v) for v in truth[1][:-1]], abs=1e-3)
    page = (proven / "table" / "run" / "report.html").read_text()
    assert "mean_radius" in page
    assert "MAE" in page
    shell(defend, proven)
    assert "20" in shell(verify, proven).stdout


def test_reconstructs_sentences(
    proven: Path, shell: Callable[..., Any], readme: Callable[[str], list[str]]
) -> None:
    _, _, _, _, attack, *_ = readme("tabular")
    shell(attack, proven, extra=f"{SMALL} --attack.epochs 10 --attack.queries 4 --attack.hidden 128")
    metrics, lines = read_results(proven / "text" / "run")
    assert (
        metrics["reconstruction"]["token_accuracy"] > metrics["baselines"]["typical"]["token_accuracy"] + 0.2
    )
    assert metrics["reconstruction"]["identification_top1"] > 0.5
    assert lines[0] == ["tokens", "text"]
    assert "from" in lines[1][1]


def test_doctor_examines_a_table(
    proven: Path, shell: Callable[..., Any], readme: Callable[[str], list[str]]
) -> None:
    _, _, attack, *_ = readme("tabular")
    doctor = attack.partition(" --out")[0].replace("palimpsest attack", "palimpsest doctor")
    output = " ".join(shell(doctor, proven).stdout.split())
    assert "285 auxiliary rows of a table" in output
    assert "The proofs are the true samples' gradient differences" in output
    wrong = shell(doctor.replace("linear-layer", "igf"), proven, code=2).stdout
    assert "igf reconstructs images, but auxiliary.csv holds rows of a table" in " ".join(wrong.split())


def test_an_attack_on_images_rejects_a_table(
    proven: Path, shell: Callable[..., Any], readme: Callable[[str], list[str]]
) -> None:
    _, _, attack, *_ = readme("tabular")
    line = attack.replace("linear-layer", "igf-plus --attack.beta 0").replace("table/run", "other")
    result = shell(line, proven, code=2)
    assert "Choose igf-rows or linear-layer" in " ".join((result.stdout + result.stderr).split())
