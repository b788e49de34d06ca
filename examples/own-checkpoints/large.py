"""Train larger networks: torchvision's ResNet-18 and a small vision transformer.

    python large.py resnet18
    python large.py vit

The script scales images that `train.py` wrote to 64 x 64 pixels in color. It trains one of the networks with and
without ten images, and writes `original.pt`, `unlearned.pt` and these ten images to the folder `resnet18` or `vit`.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

# A plain `import torchvision` fails if its compiled operators do not match the installed torch.
from palimpsest.system.torchvision_compat import import_torchvision

networks = import_torchvision().models
SIDE = 64
FORGOTTEN, BATCH, STEPS = 10, 32, 10


def resnet18() -> nn.Module:
    """Build torchvision's ResNet-18 for ten classes: 11,181,642 parameters."""
    return networks.resnet18(num_classes=10)


def vit() -> nn.Module:
    """Build a vision transformer with patches of 8 x 8 pixels and four layers of width 128."""
    model = networks.VisionTransformer(
        image_size=SIDE, patch_size=8, num_layers=4, num_heads=4, hidden_dim=128, mlp_dim=256, num_classes=10
    )
    # torchvision initializes the head with zeros, with which no gradient reaches the layers before it.
    nn.init.normal_(model.heads[-1].weight, std=0.05)
    return model


def read(folder: str) -> tuple[Tensor, Tensor]:
    """Read the images of a folder with `metadata.csv`, in the size and color that the networks expect."""
    lines = Path(folder, "metadata.csv").read_text().splitlines()[1:]
    names, labels = zip(*(line.split(",") for line in lines), strict=True)
    images = [Image.open(Path(folder, name)).resize((SIDE, SIDE), Image.Resampling.BICUBIC) for name in names]
    pixels = torch.from_numpy(np.stack([np.asarray(image) for image in images]))
    return (pixels[:, None] / 255).repeat(1, 3, 1, 1), torch.tensor([int(label) for label in labels])


def fit(name: str, images: Tensor, labels: Tensor) -> nn.Module:
    """Train for a few steps, always from the same initial parameters."""
    torch.manual_seed(1)
    model = {"resnet18": resnet18, "vit": vit}[name]()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    for _ in range(STEPS):
        rows = torch.randperm(len(images))[:BATCH]
        optimizer.zero_grad()
        F.cross_entropy(model(images[rows]), labels[rows]).backward()
        optimizer.step()
    return model.eval()


def main(name: str) -> None:
    """Train twice, and write both checkpoints."""
    forgotten = Path(name, "forgotten")
    forgotten.mkdir(parents=True, exist_ok=True)
    table = Path("forgotten", "metadata.csv").read_text().splitlines()[: FORGOTTEN + 1]
    (forgotten / "metadata.csv").write_text("\n".join(table) + "\n")
    for line in table[1:]:
        shutil.copy(Path("forgotten", line.partition(",")[0]), forgotten)

    retained = read("retained")
    all_samples = [torch.cat(pair) for pair in zip(read(str(forgotten)), retained, strict=True)]
    torch.save(fit(name, *all_samples).state_dict(), Path(name, "original.pt"))
    torch.save(fit(name, *retained).state_dict(), Path(name, "unlearned.pt"))


if __name__ == "__main__":
    main(*sys.argv[1:])
