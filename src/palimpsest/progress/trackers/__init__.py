"""Experiment trackers as callbacks. Each module has a `start` that begins a run in its tracker."""

from palimpsest.progress.trackers.tracker import make_tracker, tracker_names

__all__ = ["make_tracker", "tracker_names"]
