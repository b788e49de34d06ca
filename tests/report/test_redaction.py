"""A redacted page names no file, folder, person and machine: hand-made texts, and a real run."""

import getpass
import re
import shutil
import socket
from pathlib import Path

import pytest
from tests.support.forked import ForkServer
from tests.support.pages import synthetic_report

from palimpsest.api.export import export
from palimpsest.report.redaction import redacted, without_locations

PRESET = """
description: Digits of the ward of Dr. Quill
data: {name: digits, auxiliary_size: 60}
model: {name: lenet}
federation: {clients: 4, fraction: 0.5, rounds: 2}
unlearning: {count: 12}
attack: {name: igf, beta: 0, epochs: 2, width: 16}
scoring: {bootstrap: 50}
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It needs /srv/cache/torch/alex.pth, which is missing.", "It needs [left out], which is missing."),
        ("~/data, ./own and ../other", "[left out], [left out] and [left out]"),
        (r"C:\Users\quill\proofs and D:/x", "[left out] and [left out]"),
        ("https://oracle.hospital.example:8080/ask answers", "[left out] answers"),
        ("igf attack on proofs.safetensors", "igf attack on [left out]"),
        ("hf:ward/scans", "[left out]"),
        ("Quantile 0.99, AUC 1.0. The end.", "Quantile 0.99, AUC 1.0. The end."),
    ],
)
def test_leaves_out_paths_addresses_and_file_names(text: str, expected: str) -> None:
    assert without_locations(text) == expected


def test_leaves_out_free_texts_and_indices() -> None:
    config = {
        "description": "Scans of Dr. Quill",
        "data": {"name": "/home/quill/scans"},
        "unlearning": {"indices": [31337, 31338]},
        "attack": {"name": "igf"},
    }
    page = redacted(synthetic_report(12, config=config, command="palimpsest audit --out /home/quill/run"))
    text = f"{page.config} {page.config_yaml} {page.command}"
    assert "uill" not in text
    assert "3133" not in text
    assert "igf" in text
    assert page.command == "palimpsest audit config.yaml"


def test_a_real_redacted_report_and_export_name_no_place(tmp_path: Path, forked: ForkServer) -> None:
    home = tmp_path / "home" / "quentin-quill"
    work = home / "ward-seven"
    work.mkdir(parents=True)
    (work / "preset.yaml").write_text(PRESET)
    variables = {
        "HOME": str(home),
        "USER": "quentin-quill",
        "LOGNAME": "quentin-quill",
        "TORCH_HOME": str(home / "torch"),
    }
    for arguments in (
        ("audit", str(work / "preset.yaml"), "--out", str(work / "run"), "--quiet"),
        ("report", "run", "--redact"),
        ("report", "run", "--redact", "--evidence"),
    ):
        forked.run("-m", "palimpsest", *arguments, folder=work, variables=variables).check_returncode()
    full = (work / "run" / "report.html").read_text()
    page = (work / "run" / "report-redacted.html").read_text()
    evidence = (work / "run" / "evidence-redacted.html").read_text()
    exported = export(work / "run", out=tmp_path / "out", formats=["json", "evidence"], redact=True)
    secrets = {"quentin", "quill", "ward-seven", "preset.yaml", str(tmp_path), socket.gethostname()}
    for text in (page, evidence, *(path.read_text() for path in exported)):
        assert [secret for secret in secrets if secret.lower() in text.lower()] == []
        for name in (getpass.getuser(), Path.home().name):
            assert not re.search(rf"[/\\]{re.escape(name)}\b", text)
    # The full report names the folder, so the search can fail.
    assert "ward-seven" in full
    shutil.rmtree(work)
