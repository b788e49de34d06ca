"""Learned attacks: networks, trained on the auditor's queries, that invert gradient differences (IGF and variants)."""
