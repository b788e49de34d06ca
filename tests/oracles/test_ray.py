import json
import sys
from pathlib import Path

import pytest
import torch
from tests.support.forked import ForkServer
from torch import Tensor, nn

from palimpsest.errors import ConfigurationError
from palimpsest.oracles import ModelOracle, ShardedOracle, oracle_of, read_answers
from palimpsest.reduction import CountSketch, fit_projection

BUDGET = 2**22


def models() -> tuple[nn.Module, nn.Module]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        both = [
            nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(144, 3)) for _ in range(2)
        ]
    return both[0].eval(), both[1].eval()


def questions(count: int) -> tuple[Tensor, Tensor]:
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(1)), torch.arange(count) % 3


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


# Without this, Ray's workers are starved by other processes on a busy test machine.
RAY = {"RAY_worker_niceness": "0"}
# Runs in a separate process, because Ray's processes linger for a while.
TWO_WORKERS = """
import os, sys, time
from pathlib import Path
import ray, torch
import palimpsest.system.telemetry
palimpsest.system.telemetry.switch_off()
os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
sys.path[:0] = {folders!r}
import test_ray
from palimpsest.oracles import ShardedOracle
from palimpsest.reduction import CountSketch

def process_id(vectors):
    # The first worker waits for the second one, which may start much later.
    (Path({seen!r}) / str(os.getpid())).touch()
    for _ in range(3000):
        if len(os.listdir({seen!r})) > 1:
            break
        time.sleep(0.1)
    return torch.full((len(vectors), 1), float(os.getpid()))

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
ray.cloudpickle.register_pickle_by_value(test_ray)
oracle = ShardedOracle(*test_ray.models(), memory_budget=test_ray.BUDGET)
images, labels = test_ray.questions(700)
sketch = CountSketch.draw(oracle.dimension, 100, generator=test_ray.generator())
torch.save(
    {{
        "whole": torch.cat(list(oracle.differences(images, labels))),
        "short": torch.cat(list(oracle.read(images, labels, sketch, min_rows=1))),
        "workers": torch.cat(list(oracle.read(images, labels, process_id, min_rows=1))).unique(),
    }},
    {out!r},
)
del oracle
assert ray.is_initialized(), "Ray ran before, and must keep running"
ray.shutdown()
"""


def test_two_workers_answer_like_a_single_process(tmp_path: Path, forked: ForkServer) -> None:
    pytest.importorskip("ray")
    out, seen, script = tmp_path / "answers.pt", tmp_path / "seen", tmp_path / "script.py"
    seen.mkdir()
    here = Path(__file__).parent
    folders = [str(here), str(here.parents[1])]
    script.write_text(TWO_WORKERS.format(folders=folders, out=str(out), seen=str(seen)))
    process = forked.run(str(script), folder=tmp_path, variables=RAY)
    assert process.returncode == 0, process.stderr
    found = torch.load(out)
    assert len(found["workers"]) == 2
    images, labels = questions(700)
    oracle = ModelOracle(*models(), memory_budget=BUDGET)
    single = torch.cat(list(oracle.differences(images, labels)))
    torch.testing.assert_close(found["whole"], single, rtol=1e-4, atol=1e-6)
    sketch = CountSketch.draw(oracle.dimension, 100, generator=generator())
    torch.testing.assert_close(found["short"], sketch.transform(single), rtol=1e-4, atol=1e-5)
    expected, projection = (
        fit_projection(vectors, explained_variance=0.95, generator=generator())
        for vectors in (single, found["whole"])
    )
    assert projection.components == expected.components
    torch.testing.assert_close(projection.singular_values, expected.singular_values, rtol=1e-4, atol=1e-6)
    overlap = torch.linalg.svdvals(expected.basis.T.double() @ projection.basis.double())
    torch.testing.assert_close(overlap, torch.ones_like(overlap), rtol=0, atol=1e-4)


def test_an_audit_on_ray_scores_like_a_single_process(tmp_path: Path, forked: ForkServer) -> None:
    pytest.importorskip("ray")
    flags = ["--data.auxiliary-size", "60", "--federation.rounds", "2", "--unlearning.count", "5"]
    command = ["-m", "palimpsest", "audit", "digits", *flags, "--attack.epochs", "1"]
    found = {}
    for engine in ("in-process", "ray"):
        folder = tmp_path / engine
        process = forked.run(
            *command, "--oracle.engine", engine, "--out", str(folder), folder=tmp_path, variables=RAY
        )
        assert process.returncode == 0, process.stderr
        found[engine] = json.loads((folder / "metrics.json").read_text())["reconstruction"]["mse"]
    assert found["ray"] == pytest.approx(found["in-process"], rel=1e-3)


class FullVectors:
    """An oracle that only answers with full vectors."""

    def __init__(self, oracle: ModelOracle) -> None:
        self.dimension, self.differences = oracle.dimension, oracle.differences


@pytest.mark.parametrize("min_rows", [1, 50, 1000])
@pytest.mark.parametrize("full", [False, True])
def test_answers_are_transformed_with_or_without_support_by_the_oracle(min_rows: int, full: bool) -> None:
    oracle = ModelOracle(*models(), memory_budget=BUDGET)
    queried = FullVectors(oracle) if full else oracle
    images, labels = questions(100)
    rows: list[int] = []

    def lengths(vectors: Tensor) -> Tensor:
        rows.append(len(vectors))
        return vectors.norm(dim=1, keepdim=True)

    read = torch.cat(list(read_answers(queried, images, labels, lengths, min_rows=min_rows)))
    torch.testing.assert_close(read[:, 0], torch.cat(list(oracle.differences(images, labels))).norm(dim=1))
    assert all(count >= min_rows for count in rows[:-1])


def test_tasks_are_whole_chunks_within_the_budget() -> None:
    oracle = ShardedOracle(*models(), memory_budget=BUDGET)
    d = oracle.dimension
    assert [oracle._task_rows(16 * d * chunk) for chunk in (1, 10, 64)] == [2, 20, 128]
    assert oracle._task_rows(2**30) == 128 * 8


def test_selects_the_engine_by_name_and_reports_a_missing_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(oracle_of(*models(), memory_budget=BUDGET), ModelOracle)
    oracle = oracle_of(*models(), engine="ray", memory_budget=BUDGET)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigurationError, match=r"oracle\.engine ray needs Ray: pip install"):
        next(oracle.differences(*questions(2)))
