"""Benchmark of the bounds stage of an audit against the attack of the same audit."""

import tempfile
from pathlib import Path

from benchmarks.cell import TINY
from benchmarks.timing import Clock, Line
from palimpsest import read_config
from palimpsest.pipeline.audit import audit

# The bounds should cost less than a tenth of the attack.
_TARGET = 10.0
_ATTACK = ("inverter-adaptive", "reconstructions", "linkage")


def lines(clock: Clock, *, quick: bool) -> list[Line]:
    """Measure an audit of digits under noise, in wall time whatever the clock.

    Args:
        clock: Not used, because a run records the wall time of its stages.
        quick: Use tiny sizes.
    """
    keys = {**(TINY if quick else {}), "defenses": [{"name": "gaussian", "sigma": 1.0}]}
    with tempfile.TemporaryDirectory() as folder:
        seconds = audit(read_config("digits", keys), out=Path(folder) / "run").metrics.seconds
    attack = sum(seconds[stage] for stage in _ATTACK)
    return [
        Line(
            "bounds of an audit of digits", "seconds", seconds["bounds"], "the attack itself", attack, _TARGET
        )
    ]
