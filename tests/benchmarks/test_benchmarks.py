import json
from pathlib import Path

import pytest
from benchmarks.__main__ import main
from benchmarks.growth import Growth
from benchmarks.isolated import isolated
from benchmarks.timing import Clock, Line, lines_of


def test_every_benchmark_runs_and_is_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The data of a machine that has them would take longer than all the rest.
    monkeypatch.delenv("PALIMPSEST_DATA_DIR", raising=False)
    results = main(quick=True, out=tmp_path)
    tasks = {line.task.partition(",")[0].split()[0] for line in results.lines}
    assert tasks >= {
        "gradients",
        "reduction",
        "product",
        "inverter's",
        "search",
        "matching",
        "federation",
        "defense",
    }
    assert tasks >= {"audit", "peak", "projection"}
    assert all(line.ours > 0 and line.theirs > 0 for line in results.lines)
    assert len(results.growths) >= 5
    page = (tmp_path / "benchmarks.md").read_text()
    assert all(line.rival in page for line in results.lines)
    told = json.loads((tmp_path / "benchmarks.json").read_text())
    assert [line["ratio"] for line in told["lines"]] == [line.ratio for line in results.lines]
    assert all(stage["theirs"] > 0 for stage in told["stages"])
    assert "benchmarks.svg" in page
    assert (tmp_path / "benchmarks.svg").read_text().count("exponent") == len(results.growths)


def test_a_ratio_above_one_is_ours_the_faster_whatever_the_unit() -> None:
    seconds = {"ours": 1.0, "slow": 3.0}
    assert [line.ratio for line in lines_of("", seconds)] == [3.0]
    (rate,) = lines_of("", seconds, count=12, unit="samples/s", at_least={"slow": 2.0})
    assert (rate.ours, rate.theirs, rate.ratio, rate.at_least) == (12, 4, 3, 2)
    assert Line("", "seconds", 2.0, "fast", 1.0).ratio == 0.5


def held_for_a_moment(size: int) -> int:
    return len(bytearray(size))


def test_a_process_of_its_own_tells_what_it_held() -> None:
    size = 2**29
    found, peak = isolated(held_for_a_moment, size)
    assert found == size
    assert 512 < peak < 512 + 1024


def test_what_is_promised_in_bytes_is_kept_by_less() -> None:
    assert Line("", "MiB", 4000.0, "budget", 4096.0, 1 / 1.1).ratio > 1


def test_rivals_take_turns_and_the_first_call_of_each_does_not_count() -> None:
    calls: list[str] = []
    times = Clock(repeats=3).race({name: lambda name=name: calls.append(name) for name in "ab"})
    assert calls == ["a", "b"] * 4
    assert set(times) == {"a", "b"}


def test_an_exponent_is_that_of_the_power() -> None:
    assert Growth("", "", [1, 2, 4, 8], [3.0, 12.0, 48.0, 192.0]).exponent == pytest.approx(2)
