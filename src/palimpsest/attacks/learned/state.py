"""Stored state of a learned attack: features, network weights, and refinement."""

from dataclasses import dataclass

from palimpsest.attacks.learned.features import Features
from palimpsest.attacks.learned.refinement import Refinement
from palimpsest.storage import Parameters, Record


@dataclass(frozen=True)
class Network(Record):
    """Weights of an inverter.

    Args:
        parameters: Parameters and buffers by name.
    """

    parameters: Parameters


@dataclass(frozen=True)
class Learned(Record):
    """Trained state of a learned attack, which reconstructs the images behind proofs.

    Args:
        features: Transform from proofs to the networks' inputs.
        networks: Inverters, whose images are averaged.
        shape: Channels, height, and width of the images.
        history: Losses over the epochs, by name.
        refinement: Refinement of the networks' images; empty for none, otherwise exactly one.
    """

    features: Features
    networks: tuple[Network, ...]
    shape: tuple[int, int, int]
    history: dict[str, list[float]]
    refinement: tuple[Refinement, ...] = ()
