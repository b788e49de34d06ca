"""Interpreter that has done slow imports, and forks a process for each command line that it receives.

It runs as a script in any environment: `python -P fork_server.py DESCRIPTOR IMPORTS`, with a connected socket and the
imports as code. By itself it needs only the standard library.
"""

import gc
import json
import os
import runpy
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

_LONGEST_REQUEST = 2**17


def serve(connection: socket.socket) -> dict[str, object]:
    """Fork a process for each request, and return the request in the new process.

    A request is a message in JSON with three descriptors: standard output, standard error, and a socket for the two
    answers. These are the process's id and, when it has ended, its exit code.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        text, descriptors, *_ = socket.recv_fds(connection, _LONGEST_REQUEST, 3)
        if not text:
            os._exit(0)
        if os.fork() == 0:
            break
        for descriptor in descriptors:
            os.close(descriptor)
    *outputs, answers = descriptors
    connection.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child:
        _supervise(child, socket.socket(fileno=answers))
    os.close(answers)
    for standard, descriptor in zip((1, 2), outputs, strict=True):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    return json.loads(text)


def _supervise(child: int, answers: socket.socket) -> NoReturn:
    """Tell a process's id and its exit code to who has requested it, if that one still listens."""
    with suppress(OSError):
        answers.sendall(b"%d\n" % child)
    _, status = os.waitpid(child, 0)
    with suppress(OSError):
        answers.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def run(arguments: list[str], folder: str, variables: dict[str, str]) -> None:
    """Run what Python runs with these arguments: a script, or `-m` and a module, optionally after `-P`.

    Args:
        arguments: Arguments of the interpreter.
        folder: The working directory.
        variables: Variables of the environment that differ from those of this interpreter.
    """
    os.chdir(folder)
    os.environ.update(variables)
    safe = arguments[0] == "-P"
    program, *rest = arguments[1:] if safe else arguments
    if program == "-m":
        module, *rest = rest
        sys.path[:0] = [] if safe else [folder]
        sys.argv[:] = [module, *rest]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        sys.path[:0] = [] if safe else [str(Path(program).resolve().parent)]
        sys.argv[:] = [program, *rest]
        runpy.run_path(program, run_name="__main__")


if __name__ == "__main__":
    exec(sys.argv[2], {})
    # No garbage collection touches what is frozen, so forked processes share its memory.
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as parent:
        request = serve(parent)
    # The new process ends like any interpreter, with its exit handlers.
    run(**request)
