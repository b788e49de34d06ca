"""Reproduction of published tables and figures."""

from palimpsest.reproduce.catalog import STUDIES
from palimpsest.reproduce.forgetting import forgetting_study
from palimpsest.reproduce.forgetting_levels import LeakRow, level_study
from palimpsest.reproduce.forgetting_rows import ForgettingRow
from palimpsest.reproduce.run import reproduce
from palimpsest.reproduce.study import Cell, Study
from palimpsest.reproduce.summary import Summary

__all__ = [
    "STUDIES",
    "Cell",
    "ForgettingRow",
    "LeakRow",
    "Study",
    "Summary",
    "forgetting_study",
    "level_study",
    "reproduce",
]
