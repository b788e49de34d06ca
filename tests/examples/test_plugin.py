"""The package of extensions: installed as a user installs it, and audited with nothing but its own pieces."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin"
pytest.importorskip(
    "setuptools", reason="pip builds the package with the setuptools that is here, not from the network"
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> dict[str, str]:
    """An environment in which the package is installed, and the test's own is left as it was."""
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copytree(EXAMPLE, folder / "source")
    words = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target"]
    subprocess.run(
        [sys.executable, *words, folder / "site", folder / "source"], env=environment, check=True, timeout=120
    )
    paths = [str(folder / "site"), environment.get("PYTHONPATH", "")]
    return environment | {"PYTHONPATH": ":".join(filter(None, paths))}


@pytest.fixture(scope="module")
def run(installed: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of the README's audit."""
    out = tmp_path_factory.mktemp("audit") / "run"
    palimpsest(installed, "audit", EXAMPLE / "audit.yaml", "--out", out, "--scoring.bootstrap", "50")
    return out


def palimpsest(environment: dict[str, str], *words: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "palimpsest", *map(str, words)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_audit_is_made_of_its_pieces(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    scores = metrics["reconstruction"]
    # Retrieval finds the shape behind a proof far oftener than a guess would.
    assert scores["identification_top1"] > 3 / scores["count"]
    assert 0 < scores["edges"] < 1
    assert 0 < scores["mae"] < 1
    assert metrics["baselines"]["mean_image"]["edges"] > 0
    assert metrics["intervals"]["edges"][0] <= scores["edges"] <= metrics["intervals"]["edges"][1]
    assert metrics["attack"]["mean_similarity"] > 0.1
    assert set(metrics["attackers"]) == {"non-adaptive", "undefended"}
    # Random numbers of the right length have no exact zeros.
    assert metrics["soundness"]["areas"]["zeros"]["random vectors of usual norm"][0] > 0.9


def test_the_run_records_the_package_and_the_report_its_metric(run: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["versions"]["palimpsest-shapes"] == "1.0.0"
    page = (run / "report.html").read_text()
    assert "Edge error" in page
    assert "differences between neighbouring pixels" in page


def test_its_settings_are_flags_and_its_names_are_offered(installed: dict[str, str]) -> None:
    told = palimpsest(installed, "audit", "--help")
    assert "--model.hidden" in told
    assert "Units of the hidden layer" in " ".join(told.split())


def test_another_version_of_the_package_is_computed_anew(
    run: Path, installed: dict[str, str], tmp_path: Path
) -> None:
    site = Path(installed["PYTHONPATH"].partition(":")[0])
    shutil.copytree(site, tmp_path / "site")
    (metadata,) = (tmp_path / "site").glob("*.dist-info/METADATA")
    metadata.write_text(metadata.read_text().replace("Version: 1.0.0", "Version: 1.1.0"))
    code = (
        "import sys; from pathlib import Path\n"
        "from rich.console import Console\n"
        "from palimpsest.config import ModelConfig, DataConfig, read_config\n"
        "from palimpsest.runs import Run\n"
        "config = read_config(sys.argv[1])\n"
        "run = Run.open(Path(sys.argv[2]), config, console=Console(quiet=True))\n"
        "print([run._fingerprint(config.model), run._fingerprint(config.federation)])\n"
    )

    def fingerprints(where: Path) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", code, EXAMPLE / "audit.yaml", tmp_path / where.parent.name],
            env=installed | {"PYTHONPATH": f"{where}:{installed['PYTHONPATH'].partition(':')[2]}"},
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(done.stdout.replace("'", '"'))

    old, new = fingerprints(site), fingerprints(tmp_path / "site")
    assert old[0] != new[0]
    assert old[1] == new[1]


@pytest.mark.parametrize(
    "group", ["datasets", "models", "unlearning", "defenses", "verifiers", "attacks", "metrics"]
)
def test_it_has_one_of_each_kind(group: str, readme: Callable[[str], Any]) -> None:
    assert f'palimpsest.{group}"]' in (EXAMPLE / "pyproject.toml").read_text()
    assert f"`palimpsest.{group}`" in (EXAMPLE / "README.md").read_text()
    assert any("audit.yaml" in line for line in readme("plugin"))
