"""Peak memory of this process during a piece of work."""

import resource
import sys
from collections.abc import Callable
from pathlib import Path


def start_peak() -> Callable[[], float]:
    """Start measuring the peak memory of this process.

    Returns:
        A function that returns the peak in bytes since this call, or since the process started if the system can't
        reset its counter.
    """
    status = Path("/proc/self/status")
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        scale = 1 if sys.platform == "darwin" else 1024
        return lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale

    def peak() -> float:
        line = next(
            line for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM")
        )
        return int(line.split()[1]) * 1024

    return peak
