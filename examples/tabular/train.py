"""Create the artifacts that you would already have, in plain torch: checkpoints and samples, tabular and text.

    python train.py

The script writes the folders `table` and `text`. Each holds the checkpoints `original.safetensors` and
`unlearned.safetensors`, the forgotten samples `forgotten.csv`, and the auditor's samples `auxiliary.csv`.
"""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from nets import Diagnosis, Ward
from safetensors.torch import save_file
from sklearn.datasets import load_breast_cancer
from torch import Tensor, nn

FORGOTTEN = 20
WARDS = {
    "heart": ["arrhythmia", "angina", "infarction", "murmur", "hypertension"],
    "lungs": ["asthma", "pneumonia", "bronchitis", "embolism", "fibrosis"],
    "bones": ["fracture", "arthritis", "osteoporosis", "sprain", "bursitis"],
}
NAMES = ["anna", "ben", "carla", "david", "elsa", "frank", "greta", "hugo", "ida", "jonas", "klara", "leo"]
TOWNS = ["berlin", "dover", "genoa", "lyon", "oslo", "porto", "turin", "york"]
DRUGS = ["aspirin", "cortisone", "heparin", "ibuprofen", "insulin", "morphine"]


def fit(make: Callable[[], nn.Module], inputs: Tensor, labels: Tensor, *, epochs: int) -> nn.Module:
    """Train with fixed initial parameters and a fixed order of samples."""
    torch.manual_seed(1)
    model = make()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(epochs):
        for rows in torch.randperm(len(inputs)).split(32):
            optimizer.zero_grad()
            F.cross_entropy(model(inputs[rows]), labels[rows]).backward()
            optimizer.step()
    return model


def train_twice(
    folder: Path, make: Callable[[], nn.Module], inputs: Tensor, labels: Tensor, *, epochs: int
) -> None:
    """Train with all samples and without the forgotten ones, and write both checkpoints."""
    folder.mkdir(exist_ok=True)
    for name, start in (("original", 0), ("unlearned", FORGOTTEN)):
        model = fit(make, inputs[start:], labels[start:], epochs=epochs)
        save_file(model.state_dict(), folder / f"{name}.safetensors")


def write(path: Path, header: list[str], lines: list[list[object]]) -> None:
    """Write a table as CSV."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *lines])


def table(folder: Path) -> None:
    """Create the table of tumors. The federation holds half of the patients, the auditor the others."""
    data = load_breast_cancer()
    order = np.random.default_rng(0).permutation(len(data.target))
    rows, labels = data.data[order], data.target[order]
    # The network expects standardized features.
    rows = (rows - rows.mean(0)) / rows.std(0)
    half = len(rows) // 2
    inputs, classes = torch.tensor(rows[:half], dtype=torch.float32), torch.tensor(labels[:half])
    train_twice(folder, Diagnosis, inputs, classes, epochs=10)
    header = [*(str(name).replace(" ", "_") for name in data.feature_names), "label"]
    lines = [
        [*(f"{value:.9g}" for value in row), int(label)] for row, label in zip(rows, labels, strict=True)
    ]
    write(folder / "forgotten.csv", header, lines[:FORGOTTEN])
    write(folder / "auxiliary.csv", header, lines[half:])


def text(folder: Path) -> None:
    """Create notes such as "carla from lyon has asthma and takes cortisone"."""
    generator = np.random.default_rng(0)
    sentences, labels = [], []
    for index in range(1200):
        ward = index % len(WARDS)
        name, town, drug = (generator.choice(words) for words in (NAMES, TOWNS, DRUGS))
        illness = generator.choice(list(WARDS.values())[ward])
        sentences.append(f"{name} from {town} has {illness} and takes {drug}".split()[:8])
        labels.append(ward)
    words = sorted({word for sentence in sentences for word in sentence})
    tokens = torch.tensor([[words.index(word) for word in sentence] for sentence in sentences])
    classes = torch.tensor(labels)
    half = len(tokens) // 2
    train_twice(folder, lambda: Ward(len(words)), tokens[:half], classes[:half], epochs=6)
    (folder / "vocabulary.txt").write_text("\n".join(words) + "\n")
    lines: list[list[object]] = [
        [" ".join(map(str, sentence)), label] for sentence, label in zip(tokens.tolist(), labels, strict=True)
    ]
    write(folder / "forgotten.csv", ["tokens", "label"], lines[:FORGOTTEN])
    write(folder / "auxiliary.csv", ["tokens", "label"], lines[half:])


if __name__ == "__main__":
    table(Path("table"))
    text(Path("text"))
