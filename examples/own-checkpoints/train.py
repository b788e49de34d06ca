"""Create the artifacts that you would already have, in plain torch: checkpoints, images and gradients.

    python train.py

The script writes both checkpoints, `original.pt` and `unlearned.safetensors`; the auditor's images, in `images/` with
one folder for each class; and the forgotten images, in `forgotten/` in the order of its `metadata.csv`. It also writes
the gradients that a server sees, `gradients.safetensors`: ten batches, each of four forgotten and four retained images.
The retained images are in `retained/`.
"""

import csv
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from nets import Net
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_digits

MEAN, STD = 0.3, 0.38
FORGOTTEN, BATCH = 40, 4


def fit(images: torch.Tensor, labels: torch.Tensor, *, epochs: int = 12) -> Net:
    """Train with fixed initial parameters and a fixed order of samples."""
    torch.manual_seed(1)
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(epochs):
        for rows in torch.randperm(len(images)).split(32):
            optimizer.zero_grad()
            F.cross_entropy(model((images[rows] - MEAN) / STD), labels[rows]).backward()
            optimizer.step()
    return model.eval()


def write_images(images: torch.Tensor, paths: list[Path]) -> None:
    """Write each image as a PNG."""
    for image, path in zip(images, paths, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image[0] * 255).round().to(torch.uint8).numpy()).save(path)


def write_table(folder: str, images: torch.Tensor, labels: torch.Tensor) -> None:
    """Write images, and a table with their names and labels in the same order."""
    names = [f"{row:04}.png" for row in range(len(images))]
    write_images(images, [Path(folder, name) for name in names])
    with Path(folder, "metadata.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file_name", "label"])
        table.writerows(zip(names, labels.tolist(), strict=True))


def batch_gradient(model: Net, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the gradient that a client sends for one batch, as a vector."""
    logits: torch.Tensor = model((images - MEAN) / STD)
    loss = F.cross_entropy(logits, labels)
    return torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(model.parameters()))])


def main() -> None:
    """Train twice, and write all artifacts."""
    pixels, classes = load_digits(return_X_y=True)
    # Rounded to the 256 levels of the image files, so that training sees exactly these images.
    rounded = np.round(pixels.reshape(-1, 8, 8) / 16 * 255).astype(np.float32) / 255
    order = np.random.default_rng(0).permutation(len(rounded))
    images, labels = torch.from_numpy(rounded[order])[:, None], torch.from_numpy(classes[order])

    train, auxiliary = slice(0, 900), slice(900, None)
    retained_rows = slice(FORGOTTEN, 900)
    original = fit(images[train], labels[train])
    unlearned = fit(images[retained_rows], labels[retained_rows])
    torch.save({"epoch": 12, "state_dict": original.state_dict()}, "original.pt")
    save_file(unlearned.state_dict(), "unlearned.safetensors")

    names = [Path(f"{row:04}.png") for row in range(len(images))]
    write_images(
        images[auxiliary],
        [Path("images", str(int(labels[row])), names[row]) for row in range(900, len(images))],
    )
    first, second = slice(0, FORGOTTEN), slice(FORGOTTEN, 2 * FORGOTTEN)
    write_table("forgotten", images[first], labels[first])
    write_table("retained", images[second], labels[second])
    retained = list(zip(images[second].split(BATCH), labels[second].split(BATCH), strict=True))
    forgotten = list(zip(images[first].split(BATCH), labels[first].split(BATCH), strict=True))
    save_file(
        {
            "gradients_before": torch.stack(
                [
                    batch_gradient(original, torch.cat([r[0], f[0]]), torch.cat([r[1], f[1]]))
                    for r, f in zip(retained, forgotten, strict=True)
                ]
            ),
            "gradients_after": torch.stack([batch_gradient(unlearned, *r) for r in retained]),
        },
        "gradients.safetensors",
    )


if __name__ == "__main__":
    main()
