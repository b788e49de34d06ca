"""Handwritten digits of 8 x 8 pixels, which scikit-learn includes: no files and no network are needed."""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from palimpsest.datasets.decode import Size, scale
from palimpsest.datasets.images import ImageSet
from palimpsest.datasets.source import Source
from palimpsest.randomness import make_generator
from palimpsest.registry import DATASETS

_TRAIN = 897


@DATASETS.register("digits")
@dataclass(frozen=True)
class Digits(Source):
    """The 1,797 test digits of the UCI set "Optical Recognition of Handwritten Digits", split in half.

    The rows are shuffled with a fixed seed before the split, because neighboring rows were written by the same person.
    """

    def count(self, split: str) -> int:
        """Return the size of a split: 897 training images, 900 test images."""
        return _TRAIN if split == "train" else 1797 - _TRAIN

    def read(self, split: str, *, rows: Tensor | None = None, size: Size | None = None) -> ImageSet:
        """Read a split; see `Source.read`."""
        # Importing scikit-learn takes a second.
        from sklearn.datasets import load_digits

        pixels, labels = map(np.asarray, load_digits(return_X_y=True))
        order = torch.randperm(len(labels), generator=make_generator(0, "datasets", "digits")).numpy()
        chosen = order[:_TRAIN] if split == "train" else order[_TRAIN:]
        if rows is not None:
            chosen = chosen[rows.numpy()]
        images = (pixels[chosen] / 16).astype(np.float32).reshape(-1, 8, 8)
        scaled = np.stack([np.asarray(scale(Image.fromarray(image), size)) for image in images]).clip(0, 1)
        return ImageSet(
            "digits", torch.from_numpy(scaled)[:, None], torch.from_numpy(labels[chosen]), classes=10
        )
