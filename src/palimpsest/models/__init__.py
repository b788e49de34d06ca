"""Built-in classifiers, and loading of models and checkpoints that a user supplies."""

from palimpsest.models.build import build_model, load_parameters
from palimpsest.models.checkpoint import load_checkpoint, read_checkpoint
from palimpsest.models.classifier import Classifier
from palimpsest.models.convnet import ConvNet
from palimpsest.models.custom import as_classifier, build_custom_model, count_classes, load_custom_model
from palimpsest.models.layout import laid_out_for
from palimpsest.models.lenet import LeNet
from palimpsest.models.logits import Logits, bare, renormalized, with_logits
from palimpsest.models.match_names import Matched
from palimpsest.models.mlp import MultilayerPerceptron
from palimpsest.models.normalized import Normalized
from palimpsest.models.resnet import ResNet20

__all__ = [
    "Classifier",
    "ConvNet",
    "LeNet",
    "Logits",
    "Matched",
    "MultilayerPerceptron",
    "Normalized",
    "ResNet20",
    "as_classifier",
    "bare",
    "build_custom_model",
    "build_model",
    "count_classes",
    "laid_out_for",
    "load_checkpoint",
    "load_custom_model",
    "load_parameters",
    "read_checkpoint",
    "renormalized",
    "with_logits",
]
