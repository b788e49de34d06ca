"""What you have already, made here in plain torch: two checkpoints, the forgotten images, and images of the auditor's.

    python train.py

writes `original.pt` and `unlearned.safetensors`, the folder `images/` with a folder for each class, and
`forgotten/` with the forgotten images in `metadata.csv`'s order. What a server saw of ten batches, each of four of
them and four images that stay, is in `gradients.safetensors`; those that stay are in `retained/`.
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
    """Train from the same start on the same order of samples."""
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
    """Write images, and a table of their names and labels in the same order."""
    names = [f"{row:04}.png" for row in range(len(images))]
    write_images(images, [Path(folder, name) for name in names])
    with Path(folder, "metadata.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file_name", "label"])
        table.writerows(zip(names, labels.tolist(), strict=True))


def batch_gradient(model: Net, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The gradient that a client sends of one batch, as a vector."""
    logits: torch.Tensor = model((images - MEAN) / STD)
    loss = F.cross_entropy(logits, labels)
    return torch.cat([part.flatten() for part in torch.autograd.grad(loss, list(model.parameters()))])


def main() -> None:
    """Train twice, and write all pieces."""
    pixels, classes = load_digits(return_X_y=True)
    # As files hold them: 256 levels.
    levels = np.round(pixels.reshape(-1, 8, 8) / 16 * 255).astype(np.float32) / 255
    order = np.random.default_rng(0).permutation(len(levels))
    images, labels = torch.from_numpy(levels[order])[:, None], torch.from_numpy(classes[order])

    train, mine = slice(0, 900), slice(900, None)
    keep = slice(FORGOTTEN, 900)
    original, unlearned = fit(images[train], labels[train]), fit(images[keep], labels[keep])
    torch.save({"epoch": 12, "state_dict": original.state_dict()}, "original.pt")
    save_file(unlearned.state_dict(), "unlearned.safetensors")

    names = [Path(f"{row:04}.png") for row in range(len(images))]
    write_images(
        images[mine], [Path("images", str(int(labels[row])), names[row]) for row in range(900, len(images))]
    )
    leave, stay = slice(0, FORGOTTEN), slice(FORGOTTEN, 2 * FORGOTTEN)
    write_table("forgotten", images[leave], labels[leave])
    write_table("retained", images[stay], labels[stay])
    retained = list(zip(images[stay].split(BATCH), labels[stay].split(BATCH), strict=True))
    forgotten = list(zip(images[leave].split(BATCH), labels[leave].split(BATCH), strict=True))
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
