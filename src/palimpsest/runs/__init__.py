"""Run folders: finished stages, manifest, purge."""

from palimpsest.runs.folder import default_folder
from palimpsest.runs.manifest import MANIFEST, Manifest, read_json, read_manifest
from palimpsest.runs.purge import purge, Purge
from palimpsest.runs.run import Run

__all__ = ['MANIFEST', 'Manifest', 'Purge', 'Run', 'default_folder', 'purge', 'read_json', 'read_manifest']
