"""Audit of an existing Flower app: a mod for its clients and a wrapper for its server's strategy."""

from palimpsest.flower.client import ProofMod
from palimpsest.flower.messages import INSTRUCTION
from palimpsest.flower.server import Audited

__all__ = ["INSTRUCTION", "Audited", "ProofMod"]
