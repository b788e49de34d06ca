import json
from pathlib import Path

import pytest
from benchmarks.__main__ import main
from benchmarks.growth import Growth
from benchmarks.isolated import isolated
from benchmarks.timing import Clock, Line, lines_of


def test_every_benchmark_runs_and_writes_its_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Real data would take longer than everything else.
    monkeypatch.delenv("PALIMPSEST_DATA_DIR", raising=False)
    results = main(quick=True, out=tmp_path)
    tasks = {line.task.partition(",")[0].split()[0] for line in results.lines}
    assert tasks >= {
        "gradients",
        "reduction",
        "product",
        "inverter's",
        "refinement",
        "matching",
        "federation",
        "defense",
        "bounds",
    }
    assert tasks >= {"audit", "peak", "projection"}
    assert all(line.ours > 0 and line.baseline_value > 0 for line in results.lines)
    assert len(results.growths) >= 5
    page = (tmp_path / "benchmarks.md").read_text()
    assert all(line.baseline in page for line in results.lines)
    tree = json.loads((tmp_path / "benchmarks.json").read_text())
    assert [line["ratio"] for line in tree["lines"]] == [line.ratio for line in results.lines]
    assert all(stage["baseline"] > 0 for stage in tree["stages"])
    assert "benchmarks.svg" in page
    assert (tmp_path / "benchmarks.svg").read_text().count("exponent") == len(results.growths)


def test_ratio_above_one_means_better_in_any_unit() -> None:
    seconds = {"ours": 1.0, "slow": 3.0}
    assert [line.ratio for line in lines_of("", seconds)] == [3.0]
    (rate,) = lines_of("", seconds, count=12, unit="samples/s", targets={"slow": 2.0})
    assert (rate.ours, rate.baseline_value, rate.ratio, rate.target) == (12, 4, 3, 2)
    assert Line("", "seconds", 2.0, "fast", 1.0).ratio == 0.5


def allocate(size: int) -> int:
    return len(bytearray(size))


def test_isolated_reports_the_peak_memory() -> None:
    size = 2**29
    result, peak = isolated(allocate, size)
    assert result == size
    assert 512 < peak < 512 + 1024


def test_less_memory_than_the_target_is_better() -> None:
    assert Line("", "MiB", 4000.0, "budget", 4096.0, 1 / 1.1).ratio > 1


def test_candidates_take_turns_after_a_warm_up_call() -> None:
    calls: list[str] = []
    times = Clock(repeats=3).race({name: lambda name=name: calls.append(name) for name in "ab"})
    assert calls == ["a", "b"] * 4
    assert set(times) == {"a", "b"}


def test_exponent_is_that_of_the_power_law() -> None:
    assert Growth("", "", [1, 2, 4, 8], [3.0, 12.0, 48.0, 192.0]).exponent == pytest.approx(2)
