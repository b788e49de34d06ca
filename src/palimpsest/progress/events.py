"""Events that callbacks receive: the progress of long work, and finished stages."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Stage:
    """A finished stage of a run.

    Args:
        name: The name of the stage.
        seconds: Its running time. For a cached stage, this is the time that the computation took.
        peak_memory: Peak memory of the process in bytes; 0 for a cached stage.
        kept: Whether the stage was loaded instead of computed.
    """

    name: str
    seconds: float
    peak_memory: float = 0
    kept: bool = False

    def __str__(self) -> str:
        """Return the running time and the peak memory."""
        if self.kept:
            return f"kept (took {self.seconds:.1f} s)"
        return f"{self.seconds:.1f} s, peak {self.peak_memory / 2**30:.1f} GiB"


@dataclass(eq=False)
class ProgressLine:
    """The progress of long work with many steps.

    Args:
        description: A description of one to three words.
        total: Total number of steps.
        done: Number of finished steps.
        stage: The stage that the work belongs to; empty outside a stage.
        notify: Called after each `advance`.
        values: The latest measured values by name, such as the loss.
    """

    description: str
    total: int
    done: int = 0
    stage: str = ""
    notify: Callable[["ProgressLine"], None] = lambda line: None
    values: dict[str, float] = field(default_factory=dict)
    _start: float = field(init=False)
    _before: int = field(init=False)

    def __post_init__(self) -> None:
        """Start the clock."""
        self._start, self._before = time.monotonic(), self.done

    def advance(self, steps: int = 1, values: Mapping[str, float] | None = None) -> None:
        """Count finished steps.

        Args:
            steps: Number of finished steps.
            values: Values measured in these steps, such as `{"loss": 0.1}`.
        """
        self.done += steps
        self.values = dict(values or {})
        self.notify(self)

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    @property
    def rate(self) -> float:
        """Steps per second; steps of an earlier process do not count."""
        return (self.done - self._before) / max(self.seconds, 1e-9)

    @property
    def seconds_left(self) -> float | None:
        """Estimated seconds for the remaining steps; None before the first step."""
        return (self.total - self.done) / self.rate if self.done > self._before else None

    def __str__(self) -> str:
        """Return steps, rate, time left and values on one line."""
        parts = [f"{self.done:,}/{self.total:,}", f"{self.rate:,.1f}/s"]
        if self.seconds_left is not None:
            parts.append(f"{clock(self.seconds_left)} left")
        return ", ".join([f"{self.description} {parts[0]}", *parts[1:], *filter(None, [note(self.values)])])


def note(values: Mapping[str, float]) -> str:
    """Format measured values as short text."""
    return ", ".join(f"{name} {value:.4g}" for name, value in values.items())


def clock(seconds: float) -> str:
    """Format a duration as h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
