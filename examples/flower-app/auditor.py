"""What an auditor of the app holds, as image files: python auditor.py.

`images/` are digits that are nobody's, in class folders. `forgotten/` are the forgotten images in the order of the
proofs, which no auditor has: they are for the scores alone.
"""

import csv
import json
from pathlib import Path

import numpy as np
import torch
from app.task import FORGOTTEN, load_data
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor


def write(image: Tensor, path: Path) -> None:
    """Write one image as a PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((image.reshape(8, 8) * 255).round().to(torch.uint8).numpy()).save(path)


def main() -> None:
    """Write both folders."""
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    for row in order[len(order) // 2 :]:
        write(torch.from_numpy(pixels[row] / 16), Path("images", str(labels[row]), f"{row}.png"))

    told = json.loads(Path("audit", "deliveries.json").read_text())
    partitions = [int(told["names"][node]) for node in dict.fromkeys(told["owners"])]
    rows = []
    for partition in partitions:
        for index, (image, label) in enumerate(zip(*load_data(partition), strict=True)):
            if index < FORGOTTEN:
                rows.append((f"{partition}-{index}.png", int(label)))
                write(image, Path("forgotten", rows[-1][0]))
    with Path("forgotten", "metadata.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file_name", "label"), *rows])


if __name__ == "__main__":
    main()
