"""The app's network with its adapter, its data, and the images that each client has to forget."""

import numpy as np
import torch
import torch.nn.functional as F
from peft import LoraConfig, PeftModel, get_peft_model
from sklearn.datasets import load_digits
from torch import Tensor
from transformers import ViTConfig, ViTForImageClassification

CLIENTS, FORGOTTEN = 2, 15


def Net() -> PeftModel:  # noqa: N802 - it takes the place of a network's class
    """Create the network: a frozen transformer, LoRA in its attention, and a trainable classifier.

    The fixed seed stands for `ViTForImageClassification.from_pretrained`: every call makes the same frozen weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = ViTForImageClassification(
            ViTConfig(
                image_size=8,
                patch_size=2,
                num_channels=1,
                hidden_size=32,
                num_hidden_layers=2,
                num_attention_heads=4,
                intermediate_size=64,
                num_labels=10,
            )
        )
        adapter = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], modules_to_save=["classifier"])
        return get_peft_model(network, adapter)


def load_data(partition: int) -> tuple[Tensor, Tensor]:
    """Load a client's images and labels. The clients share half of the digits; no client has the rest."""
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))[: len(labels) // 2]
    rows = order[partition::CLIENTS]
    images = torch.from_numpy(pixels[rows].astype(np.float32) / 16).view(-1, 1, 8, 8)
    return images, torch.from_numpy(labels[rows])


def forgotten(context) -> tuple[Tensor, Tensor]:
    """Return the samples that this client has to forget: its first images, as if a person had requested deletion."""
    images, labels = load_data(int(context.node_config["partition-id"]))
    return images[:FORGOTTEN], labels[:FORGOTTEN]


def fit(model: PeftModel, images: Tensor, labels: Tensor, *, epochs: int, learning_rate: float) -> float:
    """Train the adapter and the classifier, and return the last loss."""
    generator = torch.Generator().manual_seed(0)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=learning_rate)
    loss = torch.tensor(0.0)
    for _ in range(epochs):
        for rows in torch.randperm(len(images), generator=generator).split(32):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images[rows]).logits, labels[rows])
            loss.backward()
            optimizer.step()
    return loss.item()
