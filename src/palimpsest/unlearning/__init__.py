"""Unlearning: requests, methods, and measures of forgetting."""

from palimpsest.unlearning.ascent import Ascent, GradientAscent, project
from palimpsest.unlearning.batches import deal_retained
from palimpsest.unlearning.federaser import Calibration, FedEraser, calibrated
from palimpsest.unlearning.forgetting import compare_models, measure_forgetting
from palimpsest.unlearning.method import Method, Place, Unlearned
from palimpsest.unlearning.rapid import DiagonalNewton, NewtonTraining, RapidRetraining, block_mean
from palimpsest.unlearning.retrain import Retraining
from palimpsest.unlearning.scenarios import Request, make_request, split_off
from palimpsest.unlearning.unlearn import Unlearning, unlearn

__all__ = [
    "Ascent",
    "Calibration",
    "DiagonalNewton",
    "FedEraser",
    "GradientAscent",
    "Method",
    "NewtonTraining",
    "Place",
    "RapidRetraining",
    "Request",
    "Retraining",
    "Unlearned",
    "Unlearning",
    "block_mean",
    "calibrated",
    "compare_models",
    "deal_retained",
    "make_request",
    "measure_forgetting",
    "project",
    "split_off",
    "unlearn",
]
