"""Training, unlearning, proofs and an audit with a superlink and two supernodes on loopback."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import torch

from palimpsest.attacks import IGF, AuditorView
from palimpsest.config import read_config
from palimpsest.datasets import load_data
from palimpsest.federation import Federation, train
from palimpsest.gradients import gradient_differences
from palimpsest.models import load_parameters
from palimpsest.oracles import ModelOracle
from palimpsest.proofs import load_proofs, proof_norms, verify
from palimpsest.storage import parameters_hash, read_tensors
from palimpsest.unlearning import make_request, unlearn

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'palimpsest-audit[flower]'")

EXAMPLE = Path(__file__).parents[2] / "examples" / "flower"
BIN = Path(sys.executable).parent
# Every message starts a process of Flower's. One round has all kinds of messages.
SHORT = read_config(EXAMPLE / "configuration.yaml", {"federation": {"rounds": 1}})


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for listener in sockets:
        listener.bind(("127.0.0.1", 0))
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


def start(command: list[object], folder: Path, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    """Start a process in a group of its own, which appends to the folder's log."""
    with (folder / "log").open("a") as log:
        return subprocess.Popen(
            [str(word) for word in command],
            env=environment,
            stdout=log,
            stderr=log,
            cwd=folder,
            start_new_session=True,
        )


def listens(port: int) -> bool:
    """Return whether a process accepts connections at a port."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def deployed(tmp_path: Path) -> Iterator[Path]:
    """Run the deployed federation, and yield its output folder."""
    app, out, home = tmp_path / "flower", tmp_path / "out", tmp_path / "home"
    shutil.copytree(EXAMPLE, app)
    (app / "configuration.yaml").write_text(SHORT.to_yaml())
    home.mkdir()
    link, *ports = free_ports(3)
    (home / "config.toml").write_text(
        f'[superlink]\ndefault = "audit"\n\n[superlink.audit]\naddress = "127.0.0.1:{link}"\ninsecure = true\n'
    )
    environment = {
        **os.environ,
        "FLWR_HOME": str(home),
        "FLWR_TELEMETRY_ENABLED": "0",
        "OMP_NUM_THREADS": "1",
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }
    local = ["--insecure", "--host", "127.0.0.1", "--port"]
    superlink = [BIN / "flower-superlink", "--disable-runtime-dependency-installation", *local, link]
    node = [BIN / "flower-supernode", "--superlink", f"127.0.0.1:{link}"]
    processes = [start(superlink, tmp_path, environment)]

    def check() -> None:
        """Fail if one of Flower's processes has ended."""
        assert all(process.poll() is None for process in processes), (tmp_path / "log").read_text()[-3000:]
        time.sleep(0.1)

    run = None
    try:
        while not listens(link):
            check()
        for number, port in enumerate(ports):
            command = [*node, *local, port, "--node-config", f"partition-id={number}"]
            processes.append(start(command, tmp_path, environment))
        settings = f"configuration='{app / 'configuration.yaml'}' out='{out}'"
        # With its log streamed, the command ends when the run does.
        command = [BIN / "flwr", "run", app, "audit", "--stream", "--run-config", settings]
        run = start(command, tmp_path, environment)
        while run.poll() is None:
            check()
        assert run.returncode == 0, (tmp_path / "log").read_text()[-3000:]
        assert (out / "proofs.safetensors").is_file(), (tmp_path / "log").read_text()[-3000:]
        yield out
    finally:
        for process in [run, *processes]:
            if process is not None:
                stop(process)


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End a process and its group, by force if it does not end by itself."""
    with suppress(subprocess.TimeoutExpired, ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_audits_a_deployed_federation(deployed: Path) -> None:
    config = SHORT
    data = load_data(config.data, clients=2, seed=config.seed)
    request = make_request(config.unlearning, data, seed=config.seed)
    federation = Federation(data, config.model, config.federation, config.seed)
    original, unlearned = (
        read_tensors(deployed / f"{name}.safetensors")[0] for name in ("original", "unlearned")
    )
    proofs = load_proofs(deployed / "proofs.safetensors")

    # The same clients train the same models in this process.
    trained = train(federation, ensure=request.clients)
    after = unlearn(trained, federation, request, config.unlearning)
    for name, value in trained.parameters.items():
        torch.testing.assert_close(original[name], value, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(unlearned[name], after.parameters[name], rtol=1e-4, atol=1e-5)

    # The proofs are the models' gradient differences on the forgotten samples, with the models' hashes as metadata.
    before_model, after_model = (
        load_parameters(federation.network(), value) for value in (original, unlearned)
    )
    forgotten = data.train.subset(request.rows)
    expected = gradient_differences(before_model, after_model, forgotten.images, forgotten.labels)
    torch.testing.assert_close(proofs.vectors, expected, rtol=1e-3, atol=1e-5)
    assert proofs.metadata["original"] == parameters_hash(original)
    assert verify(proofs, tau=float(proof_norms(proofs.vectors).max())).accepted.all()

    view = AuditorView(proofs.vectors, ModelOracle(before_model, after_model), data.auxiliary, "cpu", 2**30)
    attack = IGF(beta=0, epochs=2, width=16)
    images = attack(view, generator=torch.Generator().manual_seed(0)).images
    assert images.shape == forgotten.images.shape
