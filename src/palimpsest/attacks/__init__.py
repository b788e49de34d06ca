"""Attacks by an auditor or a server, and the views that they receive."""

from palimpsest.attacks.auditor_view import (
    ArchitectView,
    Attack,
    AuditorView,
    Controlled,
    Knowledge,
    ModelsView,
    Reconstruction,
    TrainedAttack,
    spelled_out,
)
from palimpsest.attacks.certificates import HALF_LEVEL, Certificates
from palimpsest.attacks.disaggregation.cocktail_party import CocktailParty
from palimpsest.attacks.disaggregation.spear import Spear
from palimpsest.attacks.exact.igf_exact import IGFExact
from palimpsest.attacks.learned.base import LearnedInversion
from palimpsest.attacks.learned.extractors import Projected
from palimpsest.attacks.learned.features import Features
from palimpsest.attacks.learned.igf import IGF, ReducedInversion
from palimpsest.attacks.learned.igf_plus import IGFPlus
from palimpsest.attacks.learned.igf_white import IGFWhite
from palimpsest.attacks.learned.lti import LearningToInvert
from palimpsest.attacks.learned.non_image import VectorInversion
from palimpsest.attacks.learned.state import Learned
from palimpsest.attacks.learned.tabular import RowInversion
from palimpsest.attacks.learned.text import TokenInversion
from palimpsest.attacks.linkage import Linkage, link_proofs
from palimpsest.attacks.matching.adam import Adam
from palimpsest.attacks.matching.base import MatchingAttack
from palimpsest.attacks.matching.coordinates import Coordinates, Pixels, Spectrum, make_coordinates
from palimpsest.attacks.matching.direct_difference import DirectDifference
from palimpsest.attacks.matching.distances import OBJECTIVES, cosine, euclidean
from palimpsest.attacks.matching.dragd import DRAGD, DRAGDP
from palimpsest.attacks.matching.giamu import FUIA, GIAMU
from palimpsest.attacks.matching.joint import Joint
from palimpsest.attacks.matching.lbfgs import LBFGS
from palimpsest.attacks.matching.linear_layer import LinearLayer
from palimpsest.attacks.matching.noise import GradientNoise, NoiseMode
from palimpsest.attacks.matching.optimizer import Box, Evaluate, Minimum
from palimpsest.attacks.matching.problem import Batch, Problem, Term
from palimpsest.attacks.matching.search import Descent, ObjectiveCheck, Search, SearchResult
from palimpsest.attacks.matching.setup import ProblemSetup
from palimpsest.attacks.matching.single_gradient import DeepLeakage, ImprovedDeepLeakage, InvertingGradients
from palimpsest.attacks.matching.total_variation import total_variation
from palimpsest.attacks.server_view import (
    BatchLabels,
    BatchReconstruction,
    GaussianMechanism,
    ServerAttack,
    ServerView,
)
from palimpsest.attacks.strongest import Member, Strongest

__all__ = [
    "DRAGD",
    "DRAGDP",
    "FUIA",
    "GIAMU",
    "HALF_LEVEL",
    "IGF",
    "LBFGS",
    "OBJECTIVES",
    "Adam",
    "ArchitectView",
    "Attack",
    "AuditorView",
    "Batch",
    "BatchLabels",
    "BatchReconstruction",
    "Box",
    "Certificates",
    "CocktailParty",
    "Controlled",
    "Coordinates",
    "DeepLeakage",
    "Descent",
    "DirectDifference",
    "Evaluate",
    "Features",
    "GaussianMechanism",
    "GradientNoise",
    "IGFExact",
    "IGFPlus",
    "IGFWhite",
    "ImprovedDeepLeakage",
    "InvertingGradients",
    "Joint",
    "Knowledge",
    "Learned",
    "LearnedInversion",
    "LearningToInvert",
    "LinearLayer",
    "Linkage",
    "MatchingAttack",
    "Member",
    "Minimum",
    "ModelsView",
    "NoiseMode",
    "ObjectiveCheck",
    "Pixels",
    "Problem",
    "ProblemSetup",
    "Projected",
    "Reconstruction",
    "ReducedInversion",
    "RowInversion",
    "Search",
    "SearchResult",
    "ServerAttack",
    "ServerView",
    "Spear",
    "Spectrum",
    "Strongest",
    "Term",
    "TokenInversion",
    "TrainedAttack",
    "VectorInversion",
    "cosine",
    "euclidean",
    "link_proofs",
    "make_coordinates",
    "spelled_out",
    "total_variation",
]
