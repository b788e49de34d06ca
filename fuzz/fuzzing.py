"""Fuzzing of a reader with damaged files: it must return a result or a typed error, quickly and in little memory."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from fuzz.mutations import mutate
from fuzz.parsers import Parser

from palimpsest.errors import PalimpsestError

LONGEST_SECONDS = 1.0
_HANGS_SECONDS = 30


@dataclass
class Outcome:
    """Outcome of many inputs.

    Args:
        inputs: Number of inputs.
        rejected: Number of inputs that ended in a typed error.
        seconds: Largest processor time of an input, in seconds.
        memory: Largest memory of an input beyond four times the file size, in bytes.
        violations: Inputs that violated a guarantee, each with the reason.
    """

    inputs: int
    rejected: int
    seconds: float
    memory: int
    violations: list[tuple[bytes, str]]


class _Hang(BaseException):
    """Raised by the alarm; a BaseException, so that no reader catches it."""


def hostile_files(parser: Parser, folder: Path, *, inputs: int, seed: int = 0) -> Iterator[bytes]:
    """Yield damaged files for a parser.

    Args:
        parser: The parser.
        folder: An empty folder, in which the parser's valid files are made.
        inputs: Number of files.
        seed: Seed of the damage; the same seed gives the same files.
    """
    seed_folder = folder / "seeds"
    seed_folder.mkdir()
    seeds = parser.seeds(seed_folder)
    for index in range(inputs):
        random = Random(f"{seed}/{index}")
        yield mutate(random.choice(seeds), seeds, parser.tokens, random)


def fuzz(parser: Parser, contents: Iterator[bytes], folder: Path) -> Outcome:
    """Have a parser read files, and record violations of its guarantees.

    Args:
        parser: The parser.
        contents: Contents of the files.
        folder: An empty folder, in which each file is written before it is read.
    """
    outcome = Outcome(0, 0, 0.0, 0, [])
    path = folder / f"input{parser.suffix}"
    for content in contents:
        path.write_bytes(content)
        before = resident_memory("VmRSS", restart=True)
        rejected, violation, seconds = _read(parser, path)
        memory = resident_memory("VmHWM") - before - 4 * len(content)
        if seconds > LONGEST_SECONDS:
            # Garbage collection may fall into one reading; a file that is slow by itself is slow again.
            seconds = min(seconds, _read(parser, path)[2])
        outcome.rejected += rejected
        if violation:
            outcome.violations.append((content, violation))
        if seconds > LONGEST_SECONDS:
            outcome.violations.append((content, f"{seconds:.1f} s"))
        if memory > parser.slack:
            outcome.violations.append((content, f"{memory:,} bytes beyond four times the file size"))
        outcome.inputs += 1
        outcome.seconds, outcome.memory = max(outcome.seconds, seconds), max(outcome.memory, memory)
    return outcome


def _read(parser: Parser, path: Path) -> tuple[bool, str, float]:
    """Read a file; return whether it was rejected, a violation if there is one, and the processor time in seconds.

    Processor time excludes other work on the machine; the alarm against hangs uses wall time.
    """
    rejected, violation, start = False, "", time.process_time()
    try:
        with _alarm():
            parser.read(path)
    except PalimpsestError as error:
        rejected = True
        if not _has_message_length(str(error)):
            violation = f"message too short or too long: {error!r:.300}"
    except (_Hang, Exception) as error:
        violation = f"{type(error).__name__}: {error!s:.300}"
    return rejected, violation, time.process_time() - start


def _has_message_length(text: str) -> bool:
    return 20 < len(text) < 3000


@contextmanager
def _alarm() -> Iterator[None]:
    def ring(*_: object) -> None:
        raise _Hang(f"not finished after {_HANGS_SECONDS} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, _HANGS_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def resident_memory(name: str, *, restart: bool = False) -> int:
    """Return this process's resident memory in bytes.

    Args:
        name: `VmRSS` for the current value, `VmHWM` for the peak since the last restart.
        restart: Restart the measurement of the peak.
    """
    if restart:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(name)).split()[1])
