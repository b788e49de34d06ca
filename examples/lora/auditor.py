"""Write the auditor's images and the forgotten images as files: python auditor.py.

`images/` holds the auditor's digits, which no client has, in class folders. `forgotten/` holds the forgotten images in
the order of the proofs. An auditor does not have them; they are only needed to score the attack.
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

    deliveries = json.loads(Path("audit", "deliveries.json").read_text())
    partitions = [int(deliveries["names"][node]) for node in dict.fromkeys(deliveries["owners"])]
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
