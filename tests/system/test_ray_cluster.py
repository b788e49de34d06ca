import subprocess
import sys

import pytest

from palimpsest.errors import ConfigurationError
from palimpsest.system.ray_cluster import connect


def test_without_ray_the_message_says_what_to_install_or_leave_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        ConfigurationError, match=r"--engine ray needs Ray: pip install .*or leave --engine out"
    ):
        connect("--engine ray")


def test_only_who_started_ray_stops_it() -> None:
    """In a process of its own: Ray leaves others behind for a while."""
    pytest.importorskip("ray")
    program = """
from palimpsest.system.ray_cluster import connect
ray, stop = connect("--engine ray")
again, leave = connect("--engine ray")
leave()
assert again is ray and ray.is_initialized(), "the second user stopped it"
stop()
assert not ray.is_initialized(), "it goes on"
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
