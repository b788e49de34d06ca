"""Learning to Invert on gradient differences: the baseline that IGF extends."""

from typing import ClassVar

from pydantic import NonNegativeFloat, PositiveInt
from torch import nn

from palimpsest.attacks.learned.features import Features
from palimpsest.attacks.learned.igf import ReducedInversion
from palimpsest.attacks.learned.inverter import MlpInverter
from palimpsest.registry import ATTACKS


@ATTACKS.register("lti")
class LearningToInvert(ReducedInversion):
    """Train an MLP with the squared error to reconstruct an image from its reduced gradient difference."""

    source: ClassVar[str] = "Learning to Invert (Wu et al., 2023), applied to IGF's gradient differences"

    hidden: PositiveInt = 3000
    """Units of each of the two hidden layers."""
    beta: NonNegativeFloat = 0.0
    """Weight of a perceptual distance (IGF, Eq. 6); Learning to Invert uses none."""

    def build_inverter(self, features: Features, shape: tuple[int, int, int]) -> nn.Module:
        """Build the MLP; see `LearnedInversion.build_inverter`."""
        return MlpInverter(features.count, shape, hidden=self.hidden)
