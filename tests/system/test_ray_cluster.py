import sys
from pathlib import Path

import pytest
from tests.support.forked import ForkServer

from palimpsest.errors import ConfigurationError
from palimpsest.system.ray_cluster import connect


def test_names_the_missing_dependency(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigurationError, match=r"--engine ray needs Ray: pip install .*or omit --engine"):
        connect("--engine ray")


def test_only_the_first_connection_stops_ray(tmp_path: Path, forked: ForkServer) -> None:
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
    (tmp_path / "script.py").write_text(program)
    result = forked.run(str(tmp_path / "script.py"), folder=tmp_path)
    assert result.returncode == 0, result.stderr
