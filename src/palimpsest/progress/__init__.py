"""Progress of long work, and the callbacks that receive it.

Callbacks exist for terminals, notebooks, log files, JSON lines, experiment trackers and the logger `palimpsest`.
"""

from palimpsest.progress.callback import Callback, RunMetrics
from palimpsest.progress.context import callbacks, in_stage, warn, with_callbacks
from palimpsest.progress.events import ProgressLine, Stage
from palimpsest.progress.json_lines import JsonLines, finite
from palimpsest.progress.line import progress_line, track
from palimpsest.progress.log import LogFile
from palimpsest.progress.log_records import LOGGER
from palimpsest.progress.notebook import Notebook
from palimpsest.progress.terminal import Terminal

__all__ = [
    "LOGGER",
    "Callback",
    "JsonLines",
    "LogFile",
    "Notebook",
    "ProgressLine",
    "RunMetrics",
    "Stage",
    "Terminal",
    "callbacks",
    "finite",
    "in_stage",
    "progress_line",
    "track",
    "warn",
    "with_callbacks",
]
