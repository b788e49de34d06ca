import json
import math
from pathlib import Path

import pytest
from tests.support.command_line import json_lines

from palimpsest.cli.output import print_comparison, print_json, print_result
from palimpsest.comparison import find_runs
from palimpsest.comparison.comparison import Comparison
from palimpsest.metrics import Metrics
from palimpsest.pipeline.results.result import AuditResult

RESULT = AuditResult(
    Path("runs/one"), Metrics(attack={}, seconds={}), "Nothing [bold]leaks[/bold].\nNot one."
)


def test_nan_and_infinity_become_null(capsys: pytest.CaptureFixture[str]) -> None:
    print_json(mse=math.nan, psnr=math.inf, top1=0.5)
    assert json_lines(capsys) == [{"event": "result", "mse": None, "psnr": None, "top1": 0.5}]


def test_prints_a_verdict_as_text_and_values_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    print_result(RESULT, quiet=False, machine=False)
    output = capsys.readouterr().out
    assert "Not one." in output
    assert output.endswith("Report: runs/one/report.html\n")
    print_result(RESULT, quiet=False, machine=True)
    (only,) = json_lines(capsys)
    assert only["verdict"] == RESULT.verdict.splitlines()
    assert only["metrics"] == RESULT.metrics.tree()
    print_result(RESULT, quiet=True, machine=False)
    assert capsys.readouterr().out == ""


def test_prints_a_comparison_as_a_table_with_its_page(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compared = Comparison.read(find_runs(folder))
    print_comparison(compared, folder=folder)
    assert capsys.readouterr().out.splitlines()[-1] == f"Page: {folder / 'comparison.html'}"
    print_comparison(compared, folder=folder, quiet=True)
    assert capsys.readouterr().out == ""
    print_comparison(compared, folder=folder, machine=True)
    (only,) = json_lines(capsys)
    assert only["runs"] == json.loads(json.dumps(compared.to_json()))
