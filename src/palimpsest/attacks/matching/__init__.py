"""Gradient matching: search for samples that explain observed gradients (DRAGD, DLG, and relatives)."""
