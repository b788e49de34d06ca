import subprocess
import sys

import pytest

from palimpsest.errors import ConfigurationError
from palimpsest.system.ray_cluster import connect


def test_names_the_missing_dependency(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigurationError, match=r"--engine ray needs Ray: pip install .*or omit --engine"):
        connect("--engine ray")


def test_only_the_first_connection_stops_ray() -> None:
    """Run in a new process, because Ray's own processes remain for a while."""
    pytest.importorskip("ray")
    program = """
from palimpsest.system.ray_cluster import connect
ray, stop = connect("--engine ray")
again, stop_again = connect("--engine ray")
stop_again()
assert again is ray and ray.is_initialized(), "the second connection stopped Ray"
stop()
assert not ray.is_initialized(), "Ray is still running"
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
