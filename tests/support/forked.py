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
import palimpsest.cli.main, palimpsest.cli.configured, palimpsest.cli.reproduce
import lightning_fabric, matplotlib.figure, sklearn.datasets, torch._dynamo
from palimpsest.cli.contents import COMMANDS, import_command
for name in COMMANDS:
    import_command(name)
from palimpsest.system.torchvision_compat import declare_operators
declare_operators()
import torchmetrics.functional.image
"""
"""Imports of an audit, which take longer than a small audit itself."""


_RAY_GAVE_UP = "The current node timed out during startup"
_RAY_STARTS = 20


class Started:
    """A process that the server forked.

    Args:
        answers: Socket to which the server writes the process's id and, later, its exit code.
    """

    def __init__(self, answers: socket.socket) -> None:
        self._socket = answers
        self._answers = answers.makefile("r")
        text = self._answers.readline()
        assert text, "the server has ended; its error is in standard error"
        self._id = int(text)
        self._code: int | None = None

    def is_running(self, *, wait: float = 0) -> bool:
        """Return whether the process has not ended yet.

        Args:
            wait: Longest time in seconds to wait for its end.
        """
        if self._code is None and select.select([self._socket], [], [], wait)[0]:
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
            self._answers.close()
            self._socket.close()
        return self._code


class ForkServer:
    """Interpreter that forks a process for each command line.

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
        self._connection, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
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
        """Start a process.

        Args:
            arguments: Arguments of the interpreter: a script, or `-m` and a module, after `-P` if wanted.
            folder: The working directory.
            variables: Additional variables of its environment.
            stdout: File, or descriptor, of its standard output.
            stderr: File, or descriptor, of its standard error.
        """
        request = {"arguments": arguments, "folder": str(folder), "variables": dict(variables or {})}
        answers, theirs = socket.socketpair()
        with Path(os.devnull).open("wb") as nothing, theirs:
            places = [nothing if place == subprocess.DEVNULL else place for place in (stdout, stderr)]
            descriptors = [place if isinstance(place, int) else place.fileno() for place in places]
            socket.send_fds(self._connection, [json.dumps(request).encode()], [*descriptors, theirs.fileno()])
        return Started(answers)

    def run(
        self, *arguments: str, folder: Path, variables: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run a process to its end, and return its exit code and output; see `start`.

        On a busy machine Ray may give up before its processes have started. Then the process is run again.
        """
        for _ in range(_RAY_STARTS):
            done = self._run(*arguments, folder=folder, variables=variables)
            if _RAY_GAVE_UP not in done.stderr:
                break
        return done

    def _run(
        self, *arguments: str, folder: Path, variables: Mapping[str, str] | None
    ) -> "subprocess.CompletedProcess[str]":
        with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            process = self.start(*arguments, folder=folder, variables=variables, stdout=stdout, stderr=stderr)
            try:
                # Flower's simulation never ends if Ray gave up.
                while process.is_running(wait=0.5) and _RAY_GAVE_UP not in _text(stderr):
                    pass
            finally:
                process.kill()
            return subprocess.CompletedProcess(arguments, process.wait(), _text(stdout), _text(stderr))

    def close(self) -> None:
        """End the server."""
        self._connection.close()
        self._process.wait()


def _text(file: IO[bytes]) -> str:
    """Read a file whose descriptor, and so its position, a process shares."""
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode(errors="replace")


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
