"""Gradient matching: searches for images that explain a gradient (DRAGD, DLG and their relatives)."""
