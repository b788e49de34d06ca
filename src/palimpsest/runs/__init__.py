"""Run folders: cached stages, the manifest, and the removal of sensitive data."""

from typing import TYPE_CHECKING

from palimpsest.system.lazy_package import import_on_first_use

if TYPE_CHECKING:
    from palimpsest.runs.folder import default_folder
    from palimpsest.runs.manifest import MANIFEST, Manifest, read_json, read_manifest, total_seconds
    from palimpsest.runs.purge import Purge, purge
    from palimpsest.runs.run import Run

__all__ = [
    "MANIFEST",
    "Manifest",
    "Purge",
    "Run",
    "default_folder",
    "purge",
    "read_json",
    "read_manifest",
    "total_seconds",
]

import_on_first_use(
    __name__,
    {
        "palimpsest.runs.folder": ("default_folder",),
        "palimpsest.runs.manifest": (
            "MANIFEST",
            "Manifest",
            "read_json",
            "read_manifest",
            "total_seconds",
        ),
        "palimpsest.runs.purge": (
            "Purge",
            "purge",
        ),
        "palimpsest.runs.run": ("Run",),
    },
)
