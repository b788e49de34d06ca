"""What an auditor or a server recovers: one file for each attack."""

from palimpsest.attacks.confirmation import Confirmation, confirm
from palimpsest.attacks.direct_difference import DirectDifference
from palimpsest.attacks.dragd import DRAGD, DRAGDP
from palimpsest.attacks.giamu import FUIA, GIAMU
from palimpsest.attacks.igf import IGF
from palimpsest.attacks.igf_plus import IGFPlus
from palimpsest.attacks.igf_white import IGFWhite
from palimpsest.attacks.joint import Joint
from palimpsest.attacks.learned import Learned, LearnedInversion
from palimpsest.attacks.linear_layer import LinearLayer
from palimpsest.attacks.lti import LearningToInvert
from palimpsest.attacks.readouts import Projected
from palimpsest.attacks.server import BatchLabels, BatchReconstruction, ServerAttack, ServerView
from palimpsest.attacks.single_gradient import DeepLeakage, ImprovedDeepLeakage, InvertingGradients
from palimpsest.attacks.tabular import RowInversion
from palimpsest.attacks.text import TokenInversion
from palimpsest.attacks.vectors import VectorInversion
from palimpsest.attacks.view import ArchitectView, Attack, AuditorView, Knowledge, Reconstruction, spelled_out

__all__ = [
    "DRAGD",
    "DRAGDP",
    "FUIA",
    "GIAMU",
    "IGF",
    "ArchitectView",
    "Attack",
    "AuditorView",
    "BatchLabels",
    "BatchReconstruction",
    "Confirmation",
    "DeepLeakage",
    "DirectDifference",
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
    "Projected",
    "Reconstruction",
    "RowInversion",
    "ServerAttack",
    "ServerView",
    "TokenInversion",
    "VectorInversion",
    "confirm",
    "spelled_out",
]
