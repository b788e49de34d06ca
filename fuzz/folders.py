"""Readers of configurations and of the files in a run folder."""

import json
from pathlib import Path

import torch
from fuzz.parser import MIB, Parser
from rich.console import Console

from palimpsest.artifacts import ArtifactsConfig, read_artifacts_config
from palimpsest.comparison.comparison import Comparison
from palimpsest.config import AuditConfig, preset_names, read_config
from palimpsest.config.load import PRESETS as PRESET_FOLDER
from palimpsest.metrics import Metrics
from palimpsest.pipeline.sweep import read_grid
from palimpsest.proofs import Proofs
from palimpsest.report import ReportInput
from palimpsest.report.page import draw_again, load_page
from palimpsest.runs import MANIFEST, Run


def _configuration_seeds(_: Path) -> list[bytes]:
    chosen = preset_names()[::6]
    return [(PRESET_FOLDER / f"{name}.yaml").read_bytes() for name in chosen] + [
        AuditConfig().to_yaml().encode()
    ]


def _manifest_seeds(folder: Path) -> list[bytes]:
    _run(folder / "run")
    return [(folder / "run" / MANIFEST).read_bytes()]


def _run(folder: Path) -> None:
    with Run.open(folder, AuditConfig(), console=Console(quiet=True)) as run:
        run.stage("proofs", Proofs, lambda _: Proofs(torch.ones(2, 2)), key=(1,))
        run.seconds()


def _read_run(path: Path) -> None:
    """Resume a run whose manifest is the file."""
    folder = path.with_suffix("")
    if not (folder / "proofs.safetensors").exists():
        _run(folder)
    content = path.read_bytes()
    (folder / MANIFEST).write_bytes(content)
    try:
        _run(folder)
    finally:
        # A rejected manifest must be unchanged; one that was rewritten must be valid JSON.
        if (folder / MANIFEST).read_bytes() != content:
            json.loads((folder / MANIFEST).read_bytes())


_YAML = (
    b"&a ",
    b"*a",
    b"!!binary ",
    b"!!python/name:os.system ",
    b"<<: ",
    b"? ",
    b"[",
    b"{",
    b"- ",
    b"\n---\n",
    b"!!int ",
)


def _artifacts_seeds(_: Path) -> list[bytes]:
    common = {"auxiliary": "images/", "model": "nets:Net", "original": "a.pt", "unlearned": "b.pt"}
    oracle = {"source": "https://example.org", "query_budget": 30}
    auditor = ArtifactsConfig.model_validate(
        {**common, "proofs": "p.safetensors", "oracle": oracle, "mean": (0.5,)}
    )
    server = {**common, "gradients": "g.safetensors", "attack": {"name": "dragd"}}
    return [auditor.to_yaml().encode(), ArtifactsConfig.model_validate(server).to_yaml().encode()]


def _grid_seeds(_: Path) -> list[bytes]:
    return [
        b"attack.epochs: [5, 10]\ndefenses: [[], [{name: sign}]]\nseed: [1]\n",
        b"unlearning.method: [retrain, ascent]\nunlearning.classes: [[1], [1, 2]]\ndescription: [a/b, ../c]\n",
    ]


def _metrics_seeds(_: Path) -> list[bytes]:
    metrics = {
        "attack": {"queries": 800.0},
        "seconds": {"inverter": 1.0},
        "reconstruction": {
            "mse": 0.02,
            "psnr": 17.0,
            "lpips": None,
            "identification_top1": 0.5,
            "identification_top5": 0.9,
            "count": 10,
        },
        "intervals": {"mse": [0.01, 0.03], "identification_top1": [0.4, 0.6]},
        "chance": {"identification_top1": 0.1},
        "linkage": {
            "statistic": "norm",
            "identified": 0.9,
            "found": [0.5, 0.6],
            "auc": 0.9,
            "chance": 0.1,
            "intervals": [[0.8, 1.0], [0.0, 1.0], [0.0, 1.0]],
        },
        "federation": {
            "original_accuracy": 0.7,
            "unlearned_accuracy": 0.6,
            "participation": [1],
            "faults": 0,
        },
        "rates": {
            "accuracy_test_unlearned": {"value": 0.6, "low": 0.5, "high": 0.7, "chance": 0.1, "count": 10}
        },
    }
    config = AuditConfig().model_dump(mode="json")
    stage = {"key": "k", "inputs": [], "sha256": "s", "bytes": 1, "seconds": 1.5, "peak_memory_mib": 1}
    manifest = {"config": config, "versions": {}, "threads": 1, "stages": {"a": stage}}
    return [json.dumps(tree).encode() for tree in (metrics, manifest, metrics)]


def _read_compared(path: Path) -> None:
    """Compare a run whose manifest or metrics, depending on the content, is the file; the other one is valid."""
    folder, content = path.with_suffix(""), path.read_bytes()
    folder.mkdir(exist_ok=True)
    metrics, manifest, _ = _metrics_seeds(folder)
    for name, valid in ((MANIFEST, manifest), ("metrics.json", metrics)):
        (folder / name).write_bytes(content if (b'"config"' in content) == (name == MANIFEST) else valid)
    compared = Comparison.read([folder])
    texts = [compared.to_markdown(), compared.to_csv(), compared._repr_html_()]
    assert all(text.replace("\n", "").replace("\r", "").isprintable() for text in texts)
    json.dumps(compared.to_json(), allow_nan=False)


def _page_seeds(folder: Path) -> list[bytes]:
    page = ReportInput(
        title="An attack",
        command="palimpsest attack case.yaml",
        facts=[("Proofs", "3")],
        config={"seed": 1, "attack": {"name": "igf"}, "defenses": [{"name": "sign"}]},
        config_yaml="seed: 1",
        versions={"torch": "2"},
        metrics=Metrics(attack={}, seconds={"inverter": 1.0}),
        reconstructions=torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0)),
        history={},
        knowledge=["Proofs."],
    )
    page.save(folder / "page")
    return [(folder / "page").read_bytes()]


def _read_page(path: Path) -> None:
    """Draw a report again from the stored inputs of a run folder."""
    folder = path.with_suffix("")
    folder.mkdir(exist_ok=True)
    (folder / "report.safetensors").write_bytes(path.read_bytes())
    assert "</html>" in draw_again(load_page(folder))


PARSERS: dict[str, Parser] = {
    "configuration": Parser(_configuration_seeds, read_config, ".yaml", _YAML),
    "artifacts": Parser(_artifacts_seeds, read_artifacts_config, ".yaml", _YAML),
    "grid": Parser(_grid_seeds, lambda path: read_grid("digits", path), ".yaml", (*_YAML, b"a.b: [", b"../")),
    "run": Parser(
        _manifest_seeds,
        _read_run,
        ".json",
        (b'"stages"', b'"key"', b"null", b"[", b"{", b'"../../x"', b'"format": 2,', b"true"),
    ),
    "compared run": Parser(
        _metrics_seeds,
        _read_compared,
        ".json",
        (b"null", b"[", b"{", b"NaN", b"1e999", b'"config"', b'"\\u001b[2J"', b"true"),
    ),
    "page": Parser(
        _page_seeds,
        _read_page,
        ".safetensors",
        (b'"BF16"', b'"shape":[', b"[[", b"null", b"ReportInput", b"originals", b"<script>"),
        slack=256 * MIB,
    ),
}
