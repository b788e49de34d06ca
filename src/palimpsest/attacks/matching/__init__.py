"""Gradient matching: search for samples whose gradients match the observed ones (DRAGD, DLG and related attacks)."""
