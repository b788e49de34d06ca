import importlib.util
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import safetensors.torch
import torch
from tests.support.environments import Environment

from palimpsest.artifacts import load_models
from palimpsest.distribution import DISTRIBUTION
from palimpsest.gradients import gradient_differences
from palimpsest.oracles import Endpoint, RemoteOracle

pytest.importorskip("uvicorn", reason="the reference server needs uvicorn and starlette")
SERVER = Path(__file__).parents[2] / "examples" / "http-oracle" / "server.py"
README = SERVER.with_name("README.md")
TOKEN = "a-token-only-for-tests"
SHAPE = (1, 8, 8)
FLAGS = ["--original", "original.pt", "--unlearned", "unlearned.safetensors", "--model", "nets:Net"]
FLAGS += ["--mean", "0.3", "--std", "0.38", "--shape", "1", "8", "8"]


@pytest.fixture(scope="module")
def server() -> Any:
    spec = importlib.util.spec_from_file_location("reference_server", SERVER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def served(
    own_checkpoints: Path, installed: Callable[..., Environment], readme: Callable[[str], list[str]]
) -> Iterator[str]:
    """URL of the server, started as in the README with the dependencies named there, on a free port."""
    environment = installed(
        *re.findall(r"`pip install ([^`]*)`", README.read_text(encoding="utf-8"))[0].split()
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shutil.copytree(SERVER.parent, own_checkpoints.parent / "http-oracle")
    line = next(line for line in readme("http-oracle") if line.startswith("python ../http-oracle/server.py"))
    process = subprocess.Popen(
        [environment.python, *shlex.split(line)[1:], "--port", str(port)],
        cwd=own_checkpoints,
        env=environment.variables({"PALIMPSEST_ORACLE_TOKEN": TOKEN}),
    )
    try:
        url = f"http://127.0.0.1:{port}"
        RemoteOracle.connect(Endpoint(url, TOKEN, attempts=60, sleep=lambda _: time.sleep(1)))
        yield url
    finally:
        process.terminate()
        process.wait(20)


def test_the_readme_attack_runs_without_leaking_the_token(
    served: str,
    own_checkpoints: Path,
    installed: Callable[..., Environment],
    readme: Callable[[str], list[str]],
) -> None:
    assert "(`pip install '../..[http]'`)" in README.read_text(encoding="utf-8")
    shell = installed(f"{DISTRIBUTION}[http]").run
    line = next(line for line in readme("http-oracle") if line.startswith("palimpsest attack"))
    small = "--attack.queries 1 --attack.epochs 2 --attack.width 16 --scoring.bootstrap 20"
    token = {"PALIMPSEST_ORACLE_TOKEN": TOKEN}
    shell(line.replace("http://127.0.0.1:8800", served), own_checkpoints, extra=small, variables=token)
    metrics = json.loads((own_checkpoints / "remote" / "metrics.json").read_text())
    assert metrics["reconstruction"]["count"] == 40
    contents = "".join(
        path.read_text(encoding="utf-8", errors="replace")
        for path in (own_checkpoints / "remote").glob("*.*")
        if path.suffix in (".json", ".yaml", ".html")
    )
    assert TOKEN not in contents


def test_answers_are_the_gradient_differences(
    served: str, own_checkpoints: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(own_checkpoints)
    monkeypatch.setattr(sys, "path", list(sys.path))
    models = load_models(
        "nets:Net",
        {},
        original=Path("original.pt"),
        unlearned=Path("unlearned.safetensors"),
        samples=torch.rand(2, *SHAPE),
        classes=10,
        mean=[0.3],
        std=[0.38],
    )
    sys.modules.pop("nets")
    images, labels = torch.rand(5, *SHAPE), torch.arange(5)
    oracle = RemoteOracle.connect(Endpoint(served, TOKEN))
    assert oracle.description.models == models.fingerprint
    expected = gradient_differences(models.original, models.unlearned, images, labels)
    torch.testing.assert_close(oracle(images, labels), expected)


def test_listens_only_locally_and_requires_a_token(served: str, own_checkpoints: Path) -> None:
    assert httpx.get(f"{served}/v1/oracle").status_code == 401
    assert httpx.get(f"{served}/v1/oracle", headers={"Authorization": "Bearer other"}).status_code == 401
    assert httpx.post(f"{served}/v1/differences", content=b"").status_code == 401
    port = int(served.rpartition(":")[2])
    address = socket.gethostbyname(socket.gethostname())
    if not address.startswith("127."):
        with socket.socket() as other:
            assert other.connect_ex((address, port)) != 0
    without_token = {name: value for name, value in os.environ.items() if name != "PALIMPSEST_ORACLE_TOKEN"}
    result = subprocess.run(
        [sys.executable, SERVER, *FLAGS],
        cwd=own_checkpoints,
        env=without_token,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0
    assert "PALIMPSEST_ORACLE_TOKEN" in result.stderr


def query(count: int = 2, **changed: torch.Tensor) -> bytes:
    tensors = {"images": torch.rand(count, *SHAPE), "labels": torch.zeros(count, dtype=torch.int64)}
    return safetensors.torch.save(tensors | changed)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"nonsense", 400),
        (b"\xff" * 8, 400),
        (safetensors.torch.save({"images": torch.rand(1, *SHAPE)}), 400),
        (query(images=torch.rand(2, 3, 8, 8)), 400),
        (query(images=torch.rand(2, *SHAPE).double()), 400),
        (query(images=torch.full((2, *SHAPE), torch.nan)), 400),
        (query(images=torch.full((2, *SHAPE), 255.0)), 400),
        (query(labels=torch.tensor([0, 10])), 400),
        (query(labels=torch.tensor([0, -1])), 400),
        (query(labels=torch.zeros(2)), 400),
        (query(labels=torch.zeros((), dtype=torch.int64)), 400),
        (query(count=65), 400),
        (query(count=100), 413),
        (b"\x00" * 2**20, 413),
    ],
)
def test_rejects_invalid_queries(served: str, body: bytes, status: int) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = httpx.post(f"{served}/v1/differences", content=body, headers=headers)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_limits_rate_and_total(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from starlette.exceptions import HTTPException

    now = [0.0]
    monkeypatch.setattr(server.time, "monotonic", lambda: now[0])
    allowance = server.Allowance(60, 100)
    allowance.spend(50)
    with pytest.raises(HTTPException) as error:
        allowance.spend(40)
    assert (error.value.status_code, error.value.headers) == (429, {"Retry-After": "30"})
    now[0] += 30
    allowance.spend(40)
    now[0] += 600
    with pytest.raises(HTTPException) as error:
        allowance.spend(11)
    assert error.value.status_code == 403
    allowance.spend(10)


def test_the_readme_documents_the_protocol() -> None:
    text = README.read_text(encoding="utf-8")
    for word in ("/v1/oracle", "/v1/differences", "palimpsest-oracle-1", "largest_batch", "Retry-After"):
        assert word in text


def test_survives_concurrent_valid_and_hostile_queries(served: str) -> None:
    """Eight concurrent clients, half of them hostile, all get a response, and the server keeps running."""
    honest, forged = {"Authorization": f"Bearer {TOKEN}"}, {"Authorization": "Bearer of another"}
    bad = [
        (b"\x00" * 2**20, honest, {413}),
        (b"\xff" * 100, honest, {400}),
        (query(images=torch.full((2, *SHAPE), torch.nan)), honest, {400}),
        (query(), forged, {401}),
    ]

    def send_queries(client_number: int) -> list[int]:
        statuses = []
        with httpx.Client(timeout=60) as client:
            for turn in range(40):
                body, headers, expected = (
                    bad[(client_number + turn) % len(bad)]
                    if client_number % 2
                    else (query(), honest, {200, 429})
                )
                status = client.post(f"{served}/v1/differences", content=body, headers=headers).status_code
                # The server responds with 503 if it has too many connections.
                assert status in expected | {503}
                statuses.append(status)
        return statuses

    with ThreadPoolExecutor(8) as executor:
        statuses = [status for results in executor.map(send_queries, range(8)) for status in results]
    assert len(statuses) == 320
    assert statuses.count(200) > 100
    assert httpx.get(f"{served}/v1/oracle", headers=honest).status_code == 200
