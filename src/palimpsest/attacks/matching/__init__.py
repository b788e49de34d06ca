"""The engine of the gradient-matching attacks: many searches at once for images that explain a gradient."""

from palimpsest.attacks.matching.adam import Adam
from palimpsest.attacks.matching.attack import MatchingAttack
from palimpsest.attacks.matching.coordinates import Coordinates, Pixels, Spectrum, make_coordinates
from palimpsest.attacks.matching.distances import OBJECTIVES, cosine, euclidean
from palimpsest.attacks.matching.lbfgs import LBFGS
from palimpsest.attacks.matching.minimum import Box, Evaluate, Minimum
from palimpsest.attacks.matching.problem import Batch, Problem, Term
from palimpsest.attacks.matching.scene import Scene
from palimpsest.attacks.matching.search import Descent, Found, Rehearsal, Search
from palimpsest.attacks.matching.total_variation import total_variation

__all__ = [
    "LBFGS",
    "OBJECTIVES",
    "Adam",
    "Batch",
    "Box",
    "Coordinates",
    "Descent",
    "Evaluate",
    "Found",
    "MatchingAttack",
    "Minimum",
    "Pixels",
    "Problem",
    "Rehearsal",
    "Scene",
    "Search",
    "Spectrum",
    "Term",
    "cosine",
    "euclidean",
    "make_coordinates",
    "total_variation",
]
