import subprocess
import sys

import pytest

import palimpsest.system.torchvision_compat as compat
from palimpsest.errors import MissingDependencyError
from palimpsest.system.torchvision_compat import import_torchvision


def run_in_new_interpreter(code):
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_torchvision_and_torchmetrics_can_be_imported():
    run_in_new_interpreter(
        "from palimpsest.system.torchvision_compat import import_torchvision\n"
        "torchvision = import_torchvision()\n"
        "import torchmetrics.functional.image\n"
        "assert import_torchvision() is torchvision\n"
        "assert torchvision.models.squeezenet1_1(weights=None)"
    )


def test_palimpsest_does_not_import_torchvision():
    run_in_new_interpreter(
        "import sys, palimpsest, palimpsest.metrics, palimpsest.models, palimpsest.proofs\n"
        "assert not {'torchvision', 'torchmetrics'} & set(sys.modules)"
    )


def test_declares_nothing_if_the_operators_load():
    run_in_new_interpreter(
        "import importlib, torch\n"
        "import palimpsest.system.torchvision_compat as compat\n"
        "compat._operators_load = lambda folder: True\n"
        "importlib.import_module = lambda name: name\n"
        "assert compat.import_torchvision() == 'torchvision'\n"
        "assert not hasattr(torch.ops.torchvision, 'nms')"
    )


def test_detects_a_library_that_does_not_load(tmp_path):
    assert not compat._operators_load(str(tmp_path))
    (tmp_path / "_C.so").write_bytes(b"no library")
    assert not compat._operators_load(str(tmp_path))


def test_names_missing_torchvision(monkeypatch):
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    monkeypatch.setattr(compat, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'palimpsest-audit\[perceptual\]'"):
        import_torchvision()
