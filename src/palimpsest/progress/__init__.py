"""What long work tells about itself, and who listens: a terminal, a notebook, a log file, a machine, a tracker."""

from palimpsest.progress.log_file import LogFile
from palimpsest.progress.machine import JsonLines, finite
from palimpsest.progress.notebook import Notebook
from palimpsest.progress.terminal import Terminal
from palimpsest.progress.watcher import Stage, Watcher, in_stage, watchers, watching
from palimpsest.progress.work import Work, progress_line, track

__all__ = [
    "JsonLines",
    "LogFile",
    "Notebook",
    "Stage",
    "Terminal",
    "Watcher",
    "Work",
    "finite",
    "in_stage",
    "progress_line",
    "track",
    "watchers",
    "watching",
]
