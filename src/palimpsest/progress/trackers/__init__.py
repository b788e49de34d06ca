"""Experiment trackers as callbacks, one module each; a module's `start` begins a run in its tracker."""

from palimpsest.progress.trackers.tracker import make_tracker, tracker_names

__all__ = ["make_tracker", "tracker_names"]
