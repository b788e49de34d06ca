"""Feed a reader damaged files, and hold it to its promises: a typed error or a result, soon, and in little memory."""

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
    """What came of many inputs.

    Args:
        inputs: How many were read.
        refused: How many of them ended in a typed error.
        seconds: The most processor time that one took.
        memory: The most bytes that one took beyond four times the file.
        broken: What broke a promise: the input and how.
    """

    inputs: int
    refused: int
    seconds: float
    memory: int
    broken: list[tuple[bytes, str]]


class _Hang(BaseException):
    """Raised by the alarm: nothing on the way may swallow it."""


def hostile_files(parser: Parser, folder: Path, *, inputs: int, seed: int = 0) -> Iterator[bytes]:
    """Damaged files of a kind; the same seed gives the same."""
    room = folder / "seeds"
    room.mkdir()
    seeds = parser.seeds(room)
    for index in range(inputs):
        random = Random(f"{seed}/{index}")
        yield mutate(random.choice(seeds), seeds, parser.tokens, random)


def fuzz(parser: Parser, contents: Iterator[bytes], folder: Path) -> Outcome:
    """Have a parser read files.

    Args:
        parser: Which.
        contents: The files, one after the other.
        folder: An empty one; the file that is being read stands there.
    """
    outcome = Outcome(0, 0, 0.0, 0, [])
    path = folder / f"input{parser.suffix}"
    for content in contents:
        path.write_bytes(content)
        before = resident_memory("VmRSS", restart=True)
        refused, complaint, seconds = _ask(parser, path)
        memory = resident_memory("VmHWM") - before - 4 * len(content)
        if seconds > LONGEST_SECONDS:
            # The interpreter's own housekeeping may fall into one reading; what is slow by itself is slow again.
            seconds = min(seconds, _ask(parser, path)[2])
        outcome.refused += refused
        if complaint:
            outcome.broken.append((content, complaint))
        if seconds > LONGEST_SECONDS:
            outcome.broken.append((content, f"{seconds:.1f} s"))
        if memory > parser.slack:
            outcome.broken.append((content, f"{memory:,} bytes beyond four times the file"))
        outcome.inputs += 1
        outcome.seconds, outcome.memory = max(outcome.seconds, seconds), max(outcome.memory, memory)
    return outcome


def _ask(parser: Parser, path: Path) -> tuple[bool, str, float]:
    """Whether a reader refuses a file, what is wrong with how it answers, and the processor time that it takes.

    Another's work on the machine is no fault of the reader's; the alarm keeps the clock's time.
    """
    refused, complaint, start = False, "", time.process_time()
    try:
        with _alarm():
            parser.read(path)
    except PalimpsestError as error:
        refused = True
        if not _is_a_sentence(str(error)):
            complaint = f"no sentence: {error!r:.300}"
    except (_Hang, Exception) as error:
        complaint = f"{type(error).__name__}: {error!s:.300}"
    return refused, complaint, time.process_time() - start


def _is_a_sentence(text: str) -> bool:
    return 20 < len(text) < 3000


@contextmanager
def _alarm() -> Iterator[None]:
    def ring(*_: object) -> None:
        raise _Hang(f"not done after {_HANGS_SECONDS} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, _HANGS_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def resident_memory(name: str, *, restart: bool = False) -> int:
    """This process's resident memory in bytes, now (VmRSS) or at its highest since the last restart (VmHWM)."""
    if restart:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(name)).split()[1])
