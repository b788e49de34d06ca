"""Oracles: sources of gradient differences for the auditor's queries, and a cache of their answers."""

from palimpsest.oracles.aggregated import AggregatedOracle, AveragingOracle, membership_weights
from palimpsest.oracles.cached import RecordedOracle
from palimpsest.oracles.defended import DefendedOracle
from palimpsest.oracles.http import Endpoint, RemoteOracle
from palimpsest.oracles.oracle import ModelOracle, Oracle, query_all, read_answers
from palimpsest.oracles.precomputed import PrecomputedOracle
from palimpsest.oracles.ray import ShardedOracle, oracle_of

__all__ = [
    "AggregatedOracle",
    "AveragingOracle",
    "DefendedOracle",
    "Endpoint",
    "ModelOracle",
    "Oracle",
    "PrecomputedOracle",
    "RecordedOracle",
    "RemoteOracle",
    "ShardedOracle",
    "membership_weights",
    "oracle_of",
    "query_all",
    "read_answers",
]
