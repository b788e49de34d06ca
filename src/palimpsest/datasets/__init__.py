"""Data sets, their partitions among clients, and the sample sets of an audit."""

from palimpsest.datasets.catalog import dataset_names, find_source, load_images
from palimpsest.datasets.copies import Copies, find_copies
from palimpsest.datasets.decode import decode_images
from palimpsest.datasets.digits import Digits
from palimpsest.datasets.federated import FederatedData, load_data
from palimpsest.datasets.flower import FlowerPartition
from palimpsest.datasets.folder import ImageFolder
from palimpsest.datasets.groups import EMPTY, GroupSet, draw_groups, split_groups
from palimpsest.datasets.images import ImageSet
from palimpsest.datasets.listed import ImageList
from palimpsest.datasets.overlap import Overlap
from palimpsest.datasets.partitions import (
    DirichletPartition,
    IidPartition,
    PathologicalPartition,
    check_partition,
)
from palimpsest.datasets.rows import RowSet, TokenSet
from palimpsest.datasets.samples import SampleSet
from palimpsest.datasets.source import Source
from palimpsest.datasets.table import read_table

__all__ = [
    "EMPTY",
    "Copies",
    "Digits",
    "DirichletPartition",
    "FederatedData",
    "FlowerPartition",
    "GroupSet",
    "IidPartition",
    "ImageFolder",
    "ImageList",
    "ImageSet",
    "Overlap",
    "PathologicalPartition",
    "RowSet",
    "SampleSet",
    "Source",
    "TokenSet",
    "check_partition",
    "dataset_names",
    "decode_images",
    "draw_groups",
    "find_copies",
    "find_source",
    "load_data",
    "load_images",
    "read_table",
    "split_groups",
]
