"""Examples of a user's networks: one for rows of a table, one for sequences of tokens."""

import torch
from torch import Tensor, nn


class Diagnosis(nn.Module):
    """Network for the 30 standardized measurements of a tumor."""

    def __init__(self, features: int = 30, hidden: int = 32) -> None:
        """Create the layers."""
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, 2))

    def forward(self, rows: Tensor) -> Tensor:
        """Return the logits of the two classes, malignant and benign."""
        return self.layers(rows)


class Ward(nn.Module):
    """Network that assigns a note of eight words to one of three wards."""

    def __init__(self, words: int, length: int = 8, width: int = 12, hidden: int = 32) -> None:
        """Create the layers."""
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.layers = nn.Sequential(nn.Linear(length * width, hidden), nn.ReLU(), nn.Linear(hidden, 3))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits of the three wards."""
        return self.layers(self.embedding(tokens).flatten(1).to(torch.float32))
