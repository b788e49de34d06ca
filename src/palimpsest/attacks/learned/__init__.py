"""Learned attacks: networks trained on the auditor's queries to invert gradient differences (IGF and relatives)."""
