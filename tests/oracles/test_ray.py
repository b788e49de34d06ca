import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
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


# In a process of its own: Ray leaves others behind for a while.
TWO_WORKERS = """
import os, sys, time
import ray, torch
import palimpsest.system.telemetry
palimpsest.system.telemetry.switch_off()
os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
sys.path.insert(0, {here!r})
import test_ray as here
from palimpsest.oracles import ShardedOracle
from palimpsest.reduction import CountSketch

def who(vectors):
    time.sleep(0.3)
    return torch.full((len(vectors), 1), float(os.getpid()))

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
ray.cloudpickle.register_pickle_by_value(here)
oracle = ShardedOracle(*here.models(), memory_budget=here.BUDGET)
images, labels = here.questions(700)
sketch = CountSketch.draw(oracle.dimension, 100, generator=here.generator())
torch.save(
    {{
        "whole": torch.cat(list(oracle.differences(images, labels))),
        "short": torch.cat(list(oracle.read(images, labels, sketch, min_rows=1))),
        "workers": torch.cat(list(oracle.read(images, labels, who, min_rows=1))).unique(),
    }},
    {out!r},
)
del oracle
assert ray.is_initialized(), "it ran before, and is left running"
ray.shutdown()
"""


def run(*command: str) -> subprocess.CompletedProcess[str]:
    # Else Ray's workers give way to everybody else, who may be many on a machine that runs tests.
    environment = os.environ | {"RAY_worker_niceness": "0"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_two_workers_answer_as_one_process_does(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    out = tmp_path / "told.pt"
    script = TWO_WORKERS.format(here=str(Path(__file__).parent), out=str(out))
    told = run(sys.executable, "-c", script)
    assert told.returncode == 0, told.stderr
    found = torch.load(out)
    assert len(found["workers"]) == 2
    images, labels = questions(700)
    oracle = ModelOracle(*models(), memory_budget=BUDGET)
    alone = torch.cat(list(oracle.differences(images, labels)))
    torch.testing.assert_close(found["whole"], alone, rtol=1e-4, atol=1e-6)
    sketch = CountSketch.draw(oracle.dimension, 100, generator=generator())
    torch.testing.assert_close(found["short"], sketch.transform(alone), rtol=1e-4, atol=1e-5)
    ours, theirs = (
        fit_projection(vectors, explained_variance=0.95, generator=generator())
        for vectors in (alone, found["whole"])
    )
    assert theirs.components == ours.components
    torch.testing.assert_close(theirs.singular_values, ours.singular_values, rtol=1e-4, atol=1e-6)
    overlap = torch.linalg.svdvals(ours.basis.T.double() @ theirs.basis.double())
    torch.testing.assert_close(overlap, torch.ones_like(overlap), rtol=0, atol=1e-4)


def test_an_audit_on_ray_finds_what_one_process_finds(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    flags = ["--data.auxiliary-size", "60", "--federation.rounds", "2", "--unlearning.count", "5"]
    command = [sys.executable, "-m", "palimpsest", "audit", "digits", *flags, "--attack.epochs", "1"]
    found = {}
    for engine in ("in-process", "ray"):
        folder = tmp_path / engine
        told = run(*command, "--oracle.engine", engine, "--out", str(folder))
        assert told.returncode == 0, told.stderr
        found[engine] = json.loads((folder / "metrics.json").read_text())["reconstruction"]["mse"]
    assert found["ray"] == pytest.approx(found["in-process"], rel=1e-3)


class Plain:
    """An oracle that answers with whole vectors and nothing else."""

    def __init__(self, oracle: ModelOracle) -> None:
        self.dimension, self.differences = oracle.dimension, oracle.differences


@pytest.mark.parametrize("together", [1, 50, 1000])
@pytest.mark.parametrize("whole", [False, True])
def test_answers_are_read_by_the_oracle_or_for_it(together: int, whole: bool) -> None:
    oracle = ModelOracle(*models(), memory_budget=BUDGET)
    asked = Plain(oracle) if whole else oracle
    images, labels = questions(100)
    rows: list[int] = []

    def lengths(vectors: Tensor) -> Tensor:
        rows.append(len(vectors))
        return vectors.norm(dim=1, keepdim=True)

    read = torch.cat(list(read_answers(asked, images, labels, lengths, min_rows=together)))
    torch.testing.assert_close(read[:, 0], torch.cat(list(oracle.differences(images, labels))).norm(dim=1))
    assert all(count >= together for count in rows[:-1])


def test_turns_are_whole_chunks_within_the_budget() -> None:
    oracle = ShardedOracle(*models(), memory_budget=BUDGET)
    d = oracle.dimension
    assert [oracle._turn(16 * d * chunk) for chunk in (1, 10, 64)] == [2, 20, 128]
    assert oracle._turn(2**30) == 128 * 8


def test_the_engine_is_chosen_by_name_and_ray_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(oracle_of(*models(), memory_budget=BUDGET), ModelOracle)
    oracle = oracle_of(*models(), engine="ray", memory_budget=BUDGET)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigurationError, match=r"oracle\.engine ray needs Ray: pip install"):
        next(oracle.differences(*questions(2)))
