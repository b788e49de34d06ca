"""Two networks as a federation may have them: one for rows of a table, one for sequences of tokens."""

import torch
from torch import Tensor, nn


class Diagnosis(nn.Module):
    """A network for the 30 standardized measurements of a tumour."""

    def __init__(self, features: int = 30, hidden: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, 2))

    def forward(self, rows: Tensor) -> Tensor:
        """Logits of benign and malignant."""
        return self.layers(rows)


class Ward(nn.Module):
    """A network for sentences of eight words: which ward should read the note?"""

    def __init__(self, words: int, length: int = 8, width: int = 12, hidden: int = 32) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.layers = nn.Sequential(nn.Linear(length * width, hidden), nn.ReLU(), nn.Linear(hidden, 3))

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits of the three wards."""
        return self.layers(self.embedding(tokens).flatten(1).to(torch.float32))
