"""Learning to Invert on IGF's features: the baseline that IGF builds on."""

from typing import ClassVar

from pydantic import NonNegativeFloat, PositiveInt
from torch import nn

from palimpsest.attacks.learned.features import Features
from palimpsest.attacks.learned.igf import ReducedInversion
from palimpsest.attacks.learned.inverter import MlpInverter
from palimpsest.registry import ATTACKS


@ATTACKS.register("lti")
class LearningToInvert(ReducedInversion):
    """Learn, with an MLP and the squared error, to turn a reduced gradient difference back into its image."""

    source: ClassVar[str] = "Learning to Invert (Wu et al., 2023), on gradient differences as IGF has them"

    hidden: PositiveInt = 3000
    """Units of each of the two hidden layers."""
    beta: NonNegativeFloat = 0.0
    """Weight of a perceptual distance (Eq. 6), which Learning to Invert lacks."""

    def build_inverter(self, features: Features, shape: tuple[int, int, int]) -> nn.Module:
        """Build the MLP; see `LearnedInversion.build_inverter`."""
        return MlpInverter(features.count, shape, hidden=self.hidden)
