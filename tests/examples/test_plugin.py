"""The package of extensions, installed as by a user, in an audit that uses only its components."""

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.environments import OFFLINE, Environment

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin"


@pytest.fixture(scope="module")
def beside(
    installed: Callable[..., Environment],
    readme: Callable[[str], list[str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Environment:
    """Environment with palimpsest and the package, installed as in the README."""
    # pip would download setuptools to build the package. The tests have no network, so it is installed beforehand.
    environment = installed("setuptools")
    source = tmp_path_factory.mktemp("plugin") / "plugin"
    shutil.copytree(EXAMPLE, source)
    environment.run(readme("plugin")[0], source, extra=shlex.join(OFFLINE))
    return environment


@pytest.fixture(scope="module")
def folder(
    beside: Environment, readme: Callable[[str], list[str]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Folder in which the README's audit ran."""
    folder = tmp_path_factory.mktemp("audit")
    shutil.copy(EXAMPLE / "audit.yaml", folder)
    beside.run(readme("plugin")[1], folder, extra="--scoring.bootstrap 50")
    return folder


@pytest.fixture(scope="module")
def run(folder: Path) -> Path:
    """Run folder of the README's audit."""
    return folder / "run"


def test_an_audit_uses_all_extensions(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    scores = metrics["reconstruction"]
    # Retrieval identifies the image behind a proof far more often than chance.
    assert scores["identification_top1"] > 3 / scores["count"]
    assert 0 < scores["edges"] < 1
    assert 0 < scores["mae"] < 1
    assert metrics["baselines"]["mean_image"]["edges"] > 0
    assert metrics["intervals"]["edges"][0] <= scores["edges"] <= metrics["intervals"]["edges"][1]
    assert metrics["attack"]["mean_similarity"] > 0.1
    assert set(metrics["attackers"]) == {"non-adaptive", "undefended"}
    # Random vectors of the right norm have no exact zeros.
    assert metrics["soundness"]["areas"]["zeros"]["random vectors of usual norm"][0] > 0.9


def test_manifest_and_report_name_the_package_and_its_metric(run: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["versions"]["palimpsest-shapes"] == "1.0.0"
    page = (run / "report.html").read_text()
    assert "Edge error" in page
    assert "differences between neighboring pixels" in page


def test_settings_of_the_package_are_flags(beside: Environment, folder: Path) -> None:
    output = beside.run("palimpsest audit audit.yaml --help", folder).stdout
    assert "--model.hidden" in output
    assert "Units of the hidden layer" in " ".join(output.split())
    assert "--model.hidden" not in beside.run("palimpsest audit --help", folder).stdout
    assert "--model.hidden" in beside.run("palimpsest audit --help-all", folder).stdout


def test_another_version_of_the_package_invalidates_stages(beside: Environment, folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from rich.console import Console\n"
        "from palimpsest.config import read_config\n"
        "from palimpsest.runs import Run\n"
        "config = read_config('audit.yaml')\n"
        "run = Run.open(Path(sys.argv[1]), config, console=Console(quiet=True))\n"
        "print(run._fingerprint(config.model), run._fingerprint(config.federation))\n"
    )

    (folder / "fingerprints.py").write_text(code)

    def fingerprints(name: str) -> list[str]:
        return beside.run(f"python fingerprints.py {name}", folder).stdout.split()

    old = fingerprints("old")
    (metadata,) = beside.folder.glob("lib/*/site-packages/palimpsest_shapes-*.dist-info/METADATA")
    text = metadata.read_text()
    metadata.write_text(text.replace("Version: 1.0.0", "Version: 1.1.0"))
    new = fingerprints("new")
    metadata.write_text(text)
    assert old[0] != new[0]
    assert old[1] == new[1]


@pytest.mark.parametrize(
    "group", ["datasets", "models", "unlearning", "defenses", "verifiers", "attacks", "metrics"]
)
def test_has_an_extension_of_each_kind(group: str, readme: Callable[[str], Any]) -> None:
    assert f'palimpsest.{group}"]' in (EXAMPLE / "pyproject.toml").read_text()
    assert f"`palimpsest.{group}`" in (EXAMPLE / "README.md").read_text()
    assert any("audit.yaml" in line for line in readme("plugin"))
