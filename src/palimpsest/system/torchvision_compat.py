"""Import of torchvision that also works if its compiled operators can't be loaded.

Many machines have torchvision's CUDA wheel beside a CPU build of torch. Its models and transforms work there, but
`import torchvision` fails with "operator torchvision::nms does not exist", because it registers fake implementations of
two operators that only its compiled library defines. torchmetrics imports torchvision whenever it is installed, so it
fails in the same way.
"""

import importlib
import sys
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder
from importlib.util import find_spec
from types import ModuleType

import torch

from palimpsest.distribution import install_command
from palimpsest.errors import MissingDependencyError

_FAKED_OPERATORS = ("nms", "qnms")
"""Operators for which torchvision 0.28 calls `torch.library.register_fake` on import, even if they are not loaded."""

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def import_torchvision() -> ModuleType:
    """Import torchvision, and declare its operators if its compiled library can't define them.

    The declared operators compute nothing: calling `torchvision.ops.nms` raises torchvision's own error. Call this
    before the first import of torchvision or torchmetrics.

    Returns:
        The module.

    Raises:
        MissingDependencyError: torchvision is not installed, or can't be imported for another reason.
    """
    if "torchvision" in sys.modules:
        return sys.modules["torchvision"]
    if not declare_operators():
        raise MissingDependencyError(
            f"torchvision is not installed. Install the extra: {install_command('perceptual')}."
        )
    try:
        return importlib.import_module("torchvision")
    except (ImportError, RuntimeError) as error:
        raise MissingDependencyError(
            f"torchvision can't be imported ({error}). Install the version that matches torch {torch.__version__}."
        ) from error


def declare_operators() -> bool:
    """Make torchvision importable, also by other packages such as transformers, without importing it.

    Returns:
        Whether torchvision is installed.
    """
    package = find_spec("torchvision")
    if package is None or not package.submodule_search_locations:
        return False
    if not _operators_load(package.submodule_search_locations[0]):
        for name in _FAKED_OPERATORS:
            if not hasattr(torch.ops.torchvision, name):
                torch.library.define(f"torchvision::{name}", _SCHEMA)
    return True


def _operators_load(folder: str) -> bool:
    # torchvision finds and loads its library in the same way, and loading it twice does no harm.
    library = FileFinder(folder, (ExtensionFileLoader, EXTENSION_SUFFIXES)).find_spec("_C")
    if library is None or library.origin is None:
        return False
    try:
        torch.ops.load_library(library.origin)
    except OSError:
        return False
    return True
