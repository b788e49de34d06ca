"""Number of threads on a machine that also runs other programs."""

import os
import time
from pathlib import Path
from statistics import mean

import torch

# Two programs that each use all cores wait for each other's threads at every operation: together they take several
# times as long as one after the other.
_SETTING = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
_LOAD = Path("/proc/loadavg")
_SAMPLES, _PAUSE = 5, 0.02


def share_cores() -> str | None:
    """Give this process as many threads as cores are free, if others are busy; an environment variable wins.

    Call it once, at the start of a program that owns its process.

    Returns:
        A sentence on the reduced number of threads, or None if nothing was changed.
    """
    wanted = torch.get_num_threads()
    if wanted == 1 or any(name in os.environ for name in _SETTING):
        return None
    others = mean(_running_elsewhere(pause=_PAUSE * (sample > 0)) for sample in range(_SAMPLES))
    threads = max(1, min(wanted, round((os.cpu_count() or wanted) - others)))
    if threads == wanted:
        return None
    torch.set_num_threads(threads)
    return (
        f"Other programs keep {others:.1f} of {os.cpu_count()} cores busy, so this one uses {threads} of {wanted} "
        f"threads. Set {_SETTING[0]} to choose the number. The last digits of results depend on it."
    )


def _running_elsewhere(*, pause: float) -> int:
    """Return how many threads of other processes are running or waiting for a core; 0 if the system does not say."""
    time.sleep(pause)
    try:
        running, _, _ = _LOAD.read_text(encoding="ascii").split()[3].partition("/")
    except (OSError, IndexError):
        return 0
    return max(0, int(running) - 1)
