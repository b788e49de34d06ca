"""Unlearning: requests, methods, and measures of forgetting."""

from palimpsest.unlearning.ascent import Ascent, GradientAscent, clipped, project
from palimpsest.unlearning.batches import deal_retained
from palimpsest.unlearning.class_pruning import ClassPruning, class_activations, prune, tf_idf
from palimpsest.unlearning.federaser import Calibration, FedEraser, calibrated
from palimpsest.unlearning.fedrecovery import FedRecovery, residual
from palimpsest.unlearning.forged_retraining import ForgedRetraining
from palimpsest.unlearning.forgetting import compare_models, measure_forgetting
from palimpsest.unlearning.guided_retraining import GuidedRetraining, GuidedTraining
from palimpsest.unlearning.last_layer import LastLayer, last_linear, only_last_linear
from palimpsest.unlearning.method import Method, Place, Unlearned
from palimpsest.unlearning.neighbors import nearest_by_gradient
from palimpsest.unlearning.overfit_retained import OverfitRetained
from palimpsest.unlearning.pga import ProjectedGradientAscent, random_distance, reference_model
from palimpsest.unlearning.puf import NegatedPseudoGradients, Negation
from palimpsest.unlearning.rapid import DiagonalNewton, NewtonTraining, RapidRetraining, block_mean
from palimpsest.unlearning.readings import read_model, retrain_again
from palimpsest.unlearning.recovery import recover, then_recover
from palimpsest.unlearning.relearn import relearn_losses
from palimpsest.unlearning.replay import replay
from palimpsest.unlearning.retrain import Retraining
from palimpsest.unlearning.scenarios import Request, make_request, split_off
from palimpsest.unlearning.unchanged import Unchanged
from palimpsest.unlearning.unlearn import Unlearning, unlearn

__all__ = [
    "Ascent",
    "Calibration",
    "ClassPruning",
    "DiagonalNewton",
    "FedEraser",
    "FedRecovery",
    "ForgedRetraining",
    "GradientAscent",
    "GuidedRetraining",
    "GuidedTraining",
    "LastLayer",
    "Method",
    "NegatedPseudoGradients",
    "Negation",
    "NewtonTraining",
    "OverfitRetained",
    "Place",
    "ProjectedGradientAscent",
    "RapidRetraining",
    "Request",
    "Retraining",
    "Unchanged",
    "Unlearned",
    "Unlearning",
    "block_mean",
    "calibrated",
    "class_activations",
    "clipped",
    "compare_models",
    "deal_retained",
    "last_linear",
    "make_request",
    "measure_forgetting",
    "nearest_by_gradient",
    "only_last_linear",
    "project",
    "prune",
    "random_distance",
    "read_model",
    "recover",
    "reference_model",
    "relearn_losses",
    "replay",
    "residual",
    "retrain_again",
    "split_off",
    "tf_idf",
    "then_recover",
    "unlearn",
]
