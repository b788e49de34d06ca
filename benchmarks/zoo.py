"""Small networks of common libraries with random weights, as users bring them: convolutional, attention, recurrent."""

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

CLASSES, WORDS, LENGTH = 3, 50, 16


@dataclass(frozen=True)
class Network:
    """A network of the zoo.

    Args:
        name: Its title in the table.
        library: The package that defines it.
        factory: Its name in that package.
        settings: Arguments of the factory.
        pixels: Height and width of its images; 0 for tokens.
        trainable: Shell patterns of the trainable parameters; if omitted, all are.
        length: Number of tokens of a sample.
    """

    name: str
    library: str
    factory: str
    settings: dict[str, Any] = field(default_factory=dict)
    pixels: int = 32
    trainable: tuple[str, ...] | None = None
    length: int = LENGTH

    @property
    def installed(self) -> bool:
        """Whether the library is installed."""
        return find_spec(self.library) is not None

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return (3, self.pixels, self.pixels) if self.pixels else (self.length,)


class Recurrent(nn.Module):
    """Classifier of tokens with a recurrent layer; token 0 pads a sequence.

    Args:
        layer: Name of the layer in `torch.nn`.
        packed: Pack the sequences without their padding.
        settings: Arguments of the layer.
    """

    def __init__(self, layer: str, *, packed: bool = False, **settings: Any) -> None:
        """Make the layers."""
        super().__init__()
        self.packed = packed
        self.embedding = nn.Embedding(WORDS, 32)
        self.recurrent = getattr(nn, layer)(32, 64, batch_first=True, **settings)
        width = settings.get("proj_size") or 64
        self.head = nn.Linear(width * (2 if settings.get("bidirectional") else 1), CLASSES)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits `[n, classes]` for tokens `[n, length]`."""
        inputs = self.embedding(tokens)
        if not self.packed:
            return self.head(self.recurrent(inputs)[0].mean(1))
        lengths = (tokens != 0).sum(1).clamp(min=1).cpu()
        packed = pack_padded_sequence(inputs, lengths, batch_first=True, enforce_sorted=False)
        outputs, _ = pad_packed_sequence(self.recurrent(packed)[0], batch_first=True)
        return self.head(outputs.sum(1) / lengths.to(outputs).unsqueeze(1))


class CellByCell(nn.Module):
    """Classifier of tokens that calls an LSTM cell in a loop."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.embedding, self.cell, self.head = (
            nn.Embedding(WORDS, 32),
            nn.LSTMCell(32, 64),
            nn.Linear(64, CLASSES),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits `[n, classes]` for tokens `[n, length]`."""
        state = None
        for step in self.embedding(tokens).unbind(1):
            state = self.cell(step, state)
        assert state is not None, "a sequence has at least one token"
        return self.head(state[0])


class Branching(nn.Module):
    """Classifier of tokens with a branch for each sample that depends on its tokens."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.embedding = nn.Embedding(WORDS, 32)
        self.experts = nn.ModuleList(nn.Linear(32, CLASSES) for _ in range(2))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits `[n, classes]` for tokens `[n, length]`."""
        means = self.embedding(tokens).mean(1)
        rows = [
            self.experts[int(sequence[0]) % 2](mean) for sequence, mean in zip(tokens, means, strict=True)
        ]
        return torch.stack(rows)


class Transformer(nn.Module):
    """Classifier of tokens with torch's own encoder; token 0 is masked."""

    def __init__(self, *, masked: bool = True, **settings: Any) -> None:
        """Make the layers."""
        super().__init__()
        self.masked = masked
        self.embedding = nn.Embedding(WORDS, 32)
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, **settings)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(32, CLASSES)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits `[n, classes]` for tokens `[n, length]`."""
        padding = tokens == 0 if self.masked else None
        return self.head(self.encoder(self.embedding(tokens), src_key_padding_mask=padding)[:, 0])


_VISION = ("resnet18", "squeezenet1_1", "mobilenet_v2", "mobilenet_v3_small")
_VISION += (
    "shufflenet_v2_x0_5",
    "mnasnet0_5",
    "efficientnet_b0",
    "densenet121",
    "regnet_y_400mf",
    "googlenet",
)
_PIXELS = {"googlenet": 64, "squeezenet1_1": 64}
_TIMM = ("resnet10t", "vit_tiny_patch16_224", "deit_tiny_patch16_224", "mixer_s32_224", "convnextv2_atto")
_TIMM += ("efficientvit_b0", "mobilevit_xxs", "levit_128s")
_SIZED = {name for name in _TIMM if "224" in name or name.startswith("levit")}
_TEXT = {"vocab_size": WORDS, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
_TEXT |= {"intermediate_size": 64, "num_labels": CLASSES, "pad_token_id": 0, "max_position_embeddings": 40}
_PICTURES = {
    "image_size": 32,
    "patch_size": 8,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_labels": CLASSES,
}
_PICTURES |= {"num_attention_heads": 4, "intermediate_size": 64}
_STAGES = {"hidden_sizes": [16, 32], "depths": [1, 1], "num_labels": CLASSES}
_DISTIL = {
    "vocab_size": WORDS,
    "dim": 32,
    "n_layers": 2,
    "n_heads": 4,
    "hidden_dim": 64,
    "num_labels": CLASSES,
}

NETWORKS = (
    Network("alexnet, features", "torchvision", "alexnet", pixels=64, trainable=("features.*",)),
    *(Network(name, "torchvision", name, pixels=_PIXELS.get(name, 32)) for name in _VISION),
    Network("resnet18, last block and head", "torchvision", "resnet18", trainable=("layer4.*", "fc.*")),
    Network("mobilenet_v2, head", "torchvision", "mobilenet_v2", trainable=("classifier.*",)),
    Network(
        "convnext_tiny, first stage and head",
        "torchvision",
        "convnext_tiny",
        trainable=("features.1.*", "classifier.*"),
    ),
    Network("swin_t, first stage and head", "torchvision", "swin_t", trainable=("features.1.*", "head.*")),
    Network(
        "vision transformer",
        "torchvision",
        "VisionTransformer",
        {"image_size": 32, "patch_size": 8, "num_layers": 2, "num_heads": 4, "hidden_dim": 32, "mlp_dim": 64},
    ),
    *(Network(f"{name} (timm)", "timm", name, pixels=64 if name in _SIZED else 32) for name in _TIMM),
    Network("BERT", "transformers", "Bert", _TEXT, pixels=0),
    Network("BERT, biases and head", "transformers", "Bert", _TEXT, 0, ("*.bias", "classifier.*")),
    Network("RoBERTa", "transformers", "Roberta", _TEXT, pixels=0),
    Network("DistilBERT", "transformers", "DistilBert", _DISTIL, pixels=0),
    Network("ALBERT", "transformers", "Albert", _TEXT | {"embedding_size": 16}, pixels=0),
    Network("ELECTRA", "transformers", "Electra", _TEXT | {"embedding_size": 16}, pixels=0),
    Network("ViT", "transformers", "ViT", _PICTURES),
    Network("DeiT", "transformers", "DeiT", _PICTURES),
    Network("ConvNeXT", "transformers", "ConvNext", _STAGES | {"num_stages": 2}),
    Network("ResNet", "transformers", "ResNet", _STAGES | {"embedding_size": 16}),
    Network("LSTM", "benchmarks", "Recurrent", {"layer": "LSTM", "num_layers": 2}, pixels=0),
    Network(
        "LSTM, 80 steps", "benchmarks", "Recurrent", {"layer": "LSTM", "num_layers": 2}, pixels=0, length=80
    ),
    Network(
        "GRU, 80 steps", "benchmarks", "Recurrent", {"layer": "GRU", "num_layers": 2}, pixels=0, length=80
    ),
    Network(
        "LSTM, frozen embedding",
        "benchmarks",
        "Recurrent",
        {"layer": "LSTM"},
        pixels=0,
        trainable=("recurrent.*", "head.*"),
    ),
    Network(
        "LSTM, bidirectional", "benchmarks", "Recurrent", {"layer": "LSTM", "bidirectional": True}, pixels=0
    ),
    Network("LSTM, packed", "benchmarks", "Recurrent", {"layer": "LSTM", "packed": True}, pixels=0),
    Network("LSTM with projection", "benchmarks", "Recurrent", {"layer": "LSTM", "proj_size": 16}, pixels=0),
    Network("LSTM cells in a loop", "benchmarks", "CellByCell", pixels=0),
    Network("GRU", "benchmarks", "Recurrent", {"layer": "GRU", "num_layers": 2}, pixels=0),
    Network("RNN", "benchmarks", "Recurrent", {"layer": "RNN"}, pixels=0),
    Network("branch on the data", "benchmarks", "Branching", pixels=0),
    Network("transformer encoder, masked", "benchmarks", "Transformer", pixels=0),
    Network("transformer encoder", "benchmarks", "Transformer", {"masked": False}, pixels=0),
)


def build(name: str) -> nn.Module:
    """Build a network of the zoo by its name, with random weights from torch's global generator; no file is read."""
    network = next(network for network in NETWORKS if network.name == name)
    with _quiet():
        return _build(network)


def _build(network: Network) -> nn.Module:
    from palimpsest.system.torchvision_compat import import_torchvision

    settings = dict(network.settings)
    if network.library == "torchvision":
        import_torchvision()
        import torchvision

        if network.factory in ("googlenet", "inception_v3"):
            settings |= {"aux_logits": False, "init_weights": False}
        return getattr(torchvision.models, network.factory)(num_classes=CLASSES, **settings)
    if network.library == "timm":
        import_torchvision()
        import timm

        if network.factory in _SIZED:
            settings["img_size"] = network.pixels
        return timm.create_model(network.factory, pretrained=False, num_classes=CLASSES, **settings)
    if network.library == "transformers":
        import_torchvision()
        import transformers

        kind = "Image" if network.pixels else "Sequence"
        config = getattr(transformers, f"{network.factory}Config")(**settings)
        return getattr(transformers, f"{network.factory}For{kind}Classification")(config)
    return globals()[network.factory](**settings)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Ignore the warnings of other libraries, for example about an initialization that takes long."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
