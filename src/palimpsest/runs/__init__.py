"""Run folders: cached stages, the manifest, and the removal of sensitive data."""

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
