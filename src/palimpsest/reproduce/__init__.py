"""The tables and figures that are published, made again."""

from palimpsest.reproduce.forgetting import ForgettingRow, forgetting_table

__all__ = ["ForgettingRow", "forgetting_table"]
