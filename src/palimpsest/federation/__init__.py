"""Federated training: clients, aggregation and the round loop."""

from palimpsest.federation.accounting import epsilon, worst_epsilon
from palimpsest.federation.aggregation import Aggregation, Aggregator, FedAvg, FedProx, weighted_mean
from palimpsest.federation.client import (
    LocalTraining,
    Optimizer,
    Payload,
    Reply,
    answer,
    batches,
    snapshot,
)
from palimpsest.federation.dp_sgd import DPSGD, Release, check_private, private_gradient, sampling
from palimpsest.federation.engine import Backend, InProcess, connect
from palimpsest.federation.evaluation import accuracy, parameter_distance, predict, top1_accuracy
from palimpsest.federation.federation import Federation, train
from palimpsest.federation.fedopt import FedAdagrad, FedAdam, FedOpt, FedYogi
from palimpsest.federation.flower_engine import FlowerClients, client_app, flower_simulation
from palimpsest.federation.flower_strategy import FlowerStrategy
from palimpsest.federation.history import History, Update
from palimpsest.federation.intake import Intake, fault
from palimpsest.federation.observation import Observation, observe
from palimpsest.federation.rounds import Plan, Round, Training, run_rounds
from palimpsest.federation.schedule import Schedule, Swap, draw_schedule
from palimpsest.federation.work import Outcome, PrivateWork, Shard, Work

__all__ = [
    "DPSGD",
    "Aggregation",
    "Aggregator",
    "Backend",
    "FedAdagrad",
    "FedAdam",
    "FedAvg",
    "FedOpt",
    "FedProx",
    "FedYogi",
    "Federation",
    "FlowerClients",
    "FlowerStrategy",
    "History",
    "InProcess",
    "Intake",
    "LocalTraining",
    "Observation",
    "Optimizer",
    "Outcome",
    "Payload",
    "Plan",
    "PrivateWork",
    "Release",
    "Reply",
    "Round",
    "Schedule",
    "Shard",
    "Swap",
    "Training",
    "Update",
    "Work",
    "accuracy",
    "answer",
    "batches",
    "check_private",
    "client_app",
    "connect",
    "draw_schedule",
    "epsilon",
    "fault",
    "flower_simulation",
    "observe",
    "parameter_distance",
    "predict",
    "private_gradient",
    "run_rounds",
    "sampling",
    "snapshot",
    "top1_accuracy",
    "train",
    "weighted_mean",
    "worst_epsilon",
]
