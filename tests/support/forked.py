"""Commands in new processes that start at once, because a server forks them after the slow imports."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

_SERVER = Path(__file__).with_name("fork_server.py")
IMPORTS = """
import palimpsest.cli.main, lightning_fabric, matplotlib.figure, sklearn.datasets, torch._dynamo
from palimpsest.system.torchvision_compat import declare_operators
declare_operators()
import torchmetrics.functional.image
"""
"""Imports of an audit, which take longer than a small audit itself."""


class Started:
    """A process that the server forked.

    Args:
        connection: Connection to the server, which answers with the process's id and, later, with its exit code.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._answers = connection.makefile("r")
        self._id = int(self._answers.readline())
        self._code: int | None = None

    def is_running(self) -> bool:
        """Return whether the process has not ended yet."""
        if self._code is None and select.select([self._connection], [], [], 0)[0]:
            self.wait()
        return self._code is None

    def kill(self) -> None:
        """Kill the process, unless it has ended."""
        if self.is_running():
            os.kill(self._id, signal.SIGKILL)

    def wait(self) -> int:
        """Wait until the process ends, and return its exit code."""
        if self._code is None:
            self._code = int(self._answers.readline())
        return self._code


class ForkServer:
    """Interpreter that forks a process for each command line, one at a time.

    A forked process differs from a new interpreter only in the modules that are already imported. Tests of imports, of
    an interpreter's start or of its end start an interpreter themselves.

    Args:
        python: The interpreter.
        imports: Code that imports what the processes need.
        variables: Environment of the server.
    """

    def __init__(
        self,
        python: Path | str = sys.executable,
        *,
        imports: str = IMPORTS,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._connection, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [str(python), "-P", str(_SERVER), str(theirs.fileno()), imports],
                pass_fds=[theirs.fileno()],
                env=variables,
                stdin=subprocess.DEVNULL,
            )

    def start(
        self,
        *arguments: str,
        folder: Path,
        variables: Mapping[str, str] | None = None,
        stdout: IO[bytes] | int = subprocess.DEVNULL,
        stderr: IO[bytes] | int = subprocess.DEVNULL,
    ) -> Started:
        """Start a process; the next one can start when it has ended.

        Args:
            arguments: Arguments of the interpreter: a script, or `-m` and a module, after `-P` if wanted.
            folder: The working directory.
            variables: Additional variables of its environment.
            stdout: File, or descriptor, of its standard output.
            stderr: File, or descriptor, of its standard error.
        """
        request = {"arguments": arguments, "folder": str(folder), "variables": dict(variables or {})}
        with Path(os.devnull).open("wb") as nothing:
            places = [nothing if place == subprocess.DEVNULL else place for place in (stdout, stderr)]
            descriptors = [place if isinstance(place, int) else place.fileno() for place in places]
            socket.send_fds(self._connection, [json.dumps(request).encode() + b"\n"], descriptors)
        return Started(self._connection)

    def run(
        self, *arguments: str, folder: Path, variables: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run a process to its end, and return its exit code and output; see `start`."""
        with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            started = self.start(*arguments, folder=folder, variables=variables, stdout=stdout, stderr=stderr)
            try:
                code = started.wait()
            finally:
                started.kill()
            texts = []
            for file in (stdout, stderr):
                file.seek(0)
                texts.append(file.read().decode())
        return subprocess.CompletedProcess(arguments, code, *texts)

    def close(self) -> None:
        """End the server."""
        self._connection.close()
        self._process.wait()


@contextmanager
def fork_server(
    python: Path | str = sys.executable,
    *,
    imports: str = IMPORTS,
    variables: Mapping[str, str] | None = None,
) -> Iterator[ForkServer]:
    """Keep a server for a `with` block; see `ForkServer`."""
    server = ForkServer(python, imports=imports, variables=variables)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def forked() -> Iterator[ForkServer]:
    """Server that forks processes of the tests' own interpreter."""
    with fork_server() as server:
        yield server
