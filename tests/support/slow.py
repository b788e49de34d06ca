"""Slow files of tests: several seconds of processor time each, or processes of their own.

`make test` starts with them, in this order, so that no worker is alone with one at the end. `make check` leaves them
out.
"""

from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
SLOW = (
    "examples/",
    "federation/test_flower_deployment.py",
    "pipeline/test_wall.py",
    "fuzz/",
    "docs/test_how_to.py",
    "oracles/test_ray.py",
    "pipeline/test_large_models.py",
    "benchmarks/",
    "cli/",
    "attacks/learned/test_igf_plus.py",
    "attacks/learned/test_ddp.py",
    "pipeline/test_sweep.py",
    "pipeline/test_audit.py",
    "pipeline/stages/test_server.py",
    "pipeline/test_attack.py",
    "docs/",
    "reproduce/",
    "system/",
    "progress/trackers/",
    "mutation/",
    "installation/test_build.py",
    "defenses/test_defense.py",
    "attacks/matching/test_base.py",
    "attacks/exact/",
    "report/test_in_browser.py",
    "report/test_redaction.py",
    "comparison/test_in_browser.py",
    "api/",
    "attacks/learned/test_igf.py",
    "attacks/learned/test_igf_white.py",
    "attacks/matching/test_dragd.py",
    "datasets/test_federated.py",
    "artifacts/test_oracle.py",
    "test_public_api.py",
)
"""Folders and files below `tests/`, the slowest first."""


def place(path: Path) -> int:
    """Return the place of a test file in `SLOW`, or the length of `SLOW` if it is fast."""
    name = path.relative_to(TESTS).as_posix()
    return next((place for place, prefix in enumerate(SLOW) if name.startswith(prefix)), len(SLOW))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the slow tests and, if workers share the tests, start with them."""
    for item in items:
        if place(item.path) < len(SLOW):
            item.add_marker(pytest.mark.slow)
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: place(item.path))
