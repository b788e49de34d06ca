"""Reproduction of published tables and figures."""

from palimpsest.reproduce.catalog import STUDIES
from palimpsest.reproduce.forgetting import ForgettingRow, forgetting_table
from palimpsest.reproduce.run import reproduce
from palimpsest.reproduce.study import Cell, Study
from palimpsest.reproduce.summary import Summary

__all__ = ["STUDIES", "Cell", "ForgettingRow", "Study", "Summary", "forgetting_table", "reproduce"]
