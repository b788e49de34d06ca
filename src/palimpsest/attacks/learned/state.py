"""State of a learned attack: features, network weights, and refinement, as a stored record."""

from dataclasses import dataclass

from palimpsest.attacks.learned.features import Features
from palimpsest.attacks.learned.refinement import Refinement
from palimpsest.storage import Parameters, Record


@dataclass(frozen=True)
class Network(Record):
    """Weights and buffers of an inversion network."""

    parameters: Parameters


@dataclass(frozen=True)
class Learned(Record):
    """Everything that a learned attack needs to turn a proof back into an image.

    Args:
        features: From a proof to the networks' inputs.
        networks: The inversion networks, whose images are averaged.
        shape: Channels, height, and width of the images.
        history: Losses over the epochs, by name.
        refinement: Moves the networks' images to where they agree with the proofs; at most one.
    """

    features: Features
    networks: tuple[Network, ...]
    shape: tuple[int, int, int]
    history: dict[str, list[float]]
    refinement: tuple[Refinement, ...] = ()
