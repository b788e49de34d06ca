"""The classifiers that a federation trains, and those that somebody brings."""

from palimpsest.models.build import build_model, load_parameters
from palimpsest.models.checkpoint import read_state_dict
from palimpsest.models.classifier import Classifier
from palimpsest.models.convnet import ConvNet
from palimpsest.models.custom import build_own, count_classes, fill_own
from palimpsest.models.layout import laid_out_for
from palimpsest.models.lenet import LeNet
from palimpsest.models.normalized import Normalized, bare
from palimpsest.models.resnet import ResNet20

__all__ = [
    "Classifier",
    "ConvNet",
    "LeNet",
    "Normalized",
    "ResNet20",
    "bare",
    "build_model",
    "build_own",
    "count_classes",
    "fill_own",
    "laid_out_for",
    "load_parameters",
    "read_state_dict",
]
