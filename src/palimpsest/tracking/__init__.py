"""Runs in the trackers that people already use; none is asked for unless its name is given, or imported before."""

from palimpsest.tracking.tracker import TRACKERS, Tracker, make_tracker

__all__ = ["TRACKERS", "Tracker", "make_tracker"]
