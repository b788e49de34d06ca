"""Built-in classifiers, and loading of models and checkpoints that a user supplies."""

from palimpsest.models.build import build_model, load_parameters
from palimpsest.models.checkpoint import read_state_dict
from palimpsest.models.classifier import Classifier
from palimpsest.models.convnet import ConvNet
from palimpsest.models.custom import build_custom_model, count_classes, load_custom_model
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
    "build_custom_model",
    "build_model",
    "count_classes",
    "laid_out_for",
    "load_custom_model",
    "load_parameters",
    "read_state_dict",
]
