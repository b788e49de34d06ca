"""Import torchvision also where its compiled operators can't load.

torchvision's wheel for CUDA stands beside a CPU build of torch on many machines. Its models and transforms
work there, but `import torchvision` ends with "operator torchvision::nms does not exist", because it
describes two operators that only its compiled library defines. torchmetrics imports torchvision whenever it
is installed, so it fails the same way.
"""

import importlib
import sys
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder
from importlib.util import find_spec
from types import ModuleType

import torch

from palimpsest.errors import MissingDependencyError

_DESCRIBED = ("nms", "qnms")
"""Operators that torchvision 0.28 calls `torch.library.register_fake` for on import, loaded or not."""

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def import_torchvision() -> ModuleType:
    """Import torchvision, and declare the operators that it describes if its own library can't define them.

    The declared operators compute nothing: calling `torchvision.ops.nms` raises torchvision's own
    explanation. Call this before the first import of torchvision or torchmetrics.

    Returns:
        The module.

    Raises:
        MissingDependencyError: torchvision is not installed, or can't be imported for another reason.
    """
    if "torchvision" in sys.modules:
        return sys.modules["torchvision"]
    package = find_spec("torchvision")
    if package is None or not package.submodule_search_locations:
        raise MissingDependencyError("torchvision is not installed: run `pip install torchvision`.")
    if not _operators_load(package.submodule_search_locations[0]):
        for name in _DESCRIBED:
            if not hasattr(torch.ops.torchvision, name):
                torch.library.define(f"torchvision::{name}", _SCHEMA)
    try:
        return importlib.import_module("torchvision")
    except (ImportError, RuntimeError) as error:
        raise MissingDependencyError(
            f"torchvision can't be imported ({error}): install the version that belongs to torch "
            f"{torch.__version__}."
        ) from error


def _operators_load(folder: str) -> bool:
    # torchvision finds and loads its library in the same way; loading it twice does no harm.
    library = FileFinder(folder, (ExtensionFileLoader, EXTENSION_SUFFIXES)).find_spec("_C")
    if library is None or library.origin is None:
        return False
    try:
        torch.ops.load_library(library.origin)
    except OSError:
        return False
    return True
