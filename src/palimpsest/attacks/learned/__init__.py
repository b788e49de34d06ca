"""Learned inversion of proofs (IGF and its relatives)."""
