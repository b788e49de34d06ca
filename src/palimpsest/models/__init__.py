"""The classifiers that a federation trains."""

from palimpsest.models.build import build_model, load_parameters
from palimpsest.models.classifier import Classifier
from palimpsest.models.convnet import ConvNet
from palimpsest.models.lenet import LeNet
from palimpsest.models.resnet import ResNet20

__all__ = ["Classifier", "ConvNet", "LeNet", "ResNet20", "build_model", "load_parameters"]
