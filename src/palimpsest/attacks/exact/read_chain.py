"""Reading of a classifier as a chain of blocks, from its layers and their order in `forward`."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from palimpsest.attacks.exact.block import Activation, Block, Size
from palimpsest.attacks.exact.chain import Chain
from palimpsest.errors import KnowledgeError
from palimpsest.gradients import parameter_count, trainable_parameters
from palimpsest.models import Normalized, bare

_ACTIVATIONS: dict[Any, Activation] = {
    nn.ReLU: "relu",
    nn.LeakyReLU: "leaky_relu",
    nn.Sigmoid: "sigmoid",
    nn.Tanh: "tanh",
    F.relu: "relu",
    torch.relu: "relu",
    torch.sigmoid: "sigmoid",
    torch.tanh: "tanh",
    "relu": "relu",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
}
_FLATTENING = (nn.Flatten, nn.Dropout, nn.Dropout2d, nn.Identity, torch.flatten, "flatten", "view", "reshape")
_POOLING = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d)
# Number of images that show whether the layers before the first block can return negative values.
_PROBES = 16


@dataclass(frozen=True)
class _Layer:
    """A step of the forward pass: its kind (a class, a function, or a method's name), its name, and its modules."""

    kind: Any
    name: str
    models: tuple[nn.Module, nn.Module] | None
    inputs: tuple[int, ...]


class _Unsolvable(Exception):  # noqa: N818
    """A layer has no equations that the attack can solve; the message says why."""


@dataclass(frozen=True)
class Trunk:
    """The layers before the first block, which an auxiliary image runs through.

    Args:
        models: Both models, of images in [0, 1].
        chain: The chain after these layers.
    """

    models: tuple[nn.Module, nn.Module]
    chain: Chain

    def levels(self, images: Tensor) -> list[Tensor]:
        """Compute the inputs of all blocks and of the last linear layer, in float32; see `Chain.levels`.

        Args:
            images: Images in [0, 1], `[n, channels, height, width]`.
        """
        if not self.chain.limit:
            return self.chain.levels(self.chain.normalize(images).float())
        return self.chain.levels(self.inputs(images))

    def inputs(self, images: Tensor) -> Tensor:
        """Compute both models' inputs of the first block, or of the last linear layer, `[n, 2, ...]`."""
        name = self.chain.blocks[0].name if self.chain.blocks else self.chain.name
        found: list[Tensor] = []
        for model in self.models:
            hook = dict(bare(model).named_modules())[name].register_forward_pre_hook(
                lambda _, arguments: found.append(arguments[0])
            )
            with hook, torch.no_grad():
                model(images.to(next(model.parameters()).dtype))
        return torch.stack(found, 1).float()


def read_chain(original: nn.Module, unlearned: nn.Module, shape: tuple[int, int, int]) -> tuple[Chain, Trunk]:
    """Read both models as a chain of blocks. Layers before one that can't be solved are left out.

    Args:
        original: The model before unlearning, of images in [0, 1].
        unlearned: The model after unlearning.
        shape: Channels, height, and width of the images.

    Returns:
        The chain, whose `limit` names the layer that can't be solved, if there is one; and the layers before it.

    Raises:
        KnowledgeError: The model does not end with a linear layer that has a bias and is trained.
    """
    models = copy.deepcopy(original).cpu().eval(), copy.deepcopy(unlearned).cpu().eval()
    mean, std = _normalization(models[0], shape[0])
    networks = bare(models[0]), bare(models[1])
    layers, limit = _trace(networks, shape)
    offsets = _offsets(networks[0])
    layers = [layer for layer in layers if layer.kind not in _FLATTENING]
    last = layers.pop() if layers else None
    if last is None or last.kind is not nn.Linear or f"{last.name}.bias".lstrip(".") not in offsets:
        raise KnowledgeError(
            f"The last layer of {type(networks[0]).__name__} is not a trained linear layer with a bias, so igf-exact has "
            "nothing to start from. Choose igf-plus."
        )
    assert last.models is not None, "a linear layer is a module"
    weights = torch.stack([_tensor(model, "weight") for model in last.models])
    biases = torch.stack([_tensor(model, "bias") for model in last.models])
    blocks: list[Block] = []
    while layers:
        try:
            blocks.insert(0, _pop_block(layers, offsets))
        except _Unsolvable as error:
            limit = str(error)
            break
    chain = Chain(tuple(blocks), weights, biases, parameter_count(networks[0]), mean, std, last.name, limit)
    trunk = Trunk(models, chain)
    if limit and trunk.inputs(torch.linspace(0, 1, _PROBES).view(-1, 1, 1, 1).expand(-1, *shape)).min() >= 0:
        chain = replace(chain, entry="relu")
    if not limit and not blocks:
        raise KnowledgeError(f"{type(networks[0]).__name__} is one linear layer. Choose linear-layer.")
    return chain, Trunk(models, chain)


def _trace(networks: tuple[nn.Module, nn.Module], shape: tuple[int, int, int]) -> tuple[list[_Layer], str]:
    """List the steps of the forward pass, last ones first found, and the reason why earlier ones are missing."""
    try:
        graph = fx.symbolic_trace(networks[0])
    # Tracing runs the user's forward pass on placeholders, which may raise anything.
    except Exception as error:
        reason = " ".join(str(error).split())[:150]
        raise KnowledgeError(
            f"The forward pass of {type(networks[0]).__name__} can't be traced ({reason}). Choose igf-plus, which does not "
            "need the order of the layers."
        ) from error
    shapes = _input_shapes(graph, shape)
    second = dict(networks[1].named_modules())
    layers: list[_Layer] = []
    node = next(iter(reversed(graph.graph.nodes))).all_input_nodes[0]
    while node.op != "placeholder":
        if len(node.all_input_nodes) != 1 or len(node.users) > 1:
            return layers, f"{node.name} joins or splits paths of the network"
        models = None
        kind: Any = node.target
        if node.op == "call_module":
            first = graph.get_submodule(str(node.target))
            models, kind = (first, second[str(node.target)]), type(first)
        layers.insert(0, _Layer(kind, str(node.target), models, shapes[node.name]))
        node = node.all_input_nodes[0]
    return layers, "the image is used twice" if len(node.users) > 1 else ""


def _input_shapes(graph: fx.GraphModule, shape: tuple[int, int, int]) -> dict[str, tuple[int, ...]]:
    """Record the shape of each step's input, without the batch dimension."""
    shapes: dict[str, tuple[int, ...]] = {}

    class Recorder(fx.Interpreter):
        def run_node(self, n: fx.Node) -> Any:
            inputs = [self.env.get(source) for source in n.all_input_nodes]
            if inputs and isinstance(inputs[0], Tensor):
                shapes[n.name] = tuple(inputs[0].shape[1:])
            return super().run_node(n)

    with torch.no_grad():
        Recorder(graph).run(torch.zeros(1, *shape, dtype=next(graph.parameters()).dtype))
    return shapes


def _pop_block(layers: list[_Layer], offsets: dict[str, int]) -> Block:
    """Remove the layers of the last block from the list, and return the block."""
    activation, pooling = None, None
    while layers and layers[-1].kind in (*_POOLING, *_ACTIVATIONS):
        layer = layers.pop()
        if layer.kind in _POOLING:
            if pooling is not None:
                raise _Unsolvable(f"{layer.name} pools what {pooling.name} pools again")
            if activation is not None and not (
                layer.kind is nn.MaxPool2d and _ACTIVATIONS[activation.kind] == "relu"
            ):
                raise _Unsolvable(f"{layer.name} pools before the activation {activation.name}")
            pooling = layer
        elif activation is not None:
            raise _Unsolvable(f"{layer.name} is followed by another activation")
        else:
            activation = layer
    norm = layers.pop() if layers and layers[-1].kind in (nn.BatchNorm2d, nn.BatchNorm1d) else None
    if not layers or layers[-1].kind not in (nn.Conv2d, nn.Linear):
        raise _Unsolvable(
            f"{layers[-1].name if layers else 'the input'} is not a convolution or a linear layer"
        )
    block = _linear_part(layers.pop(), offsets)
    if norm is not None:
        block = _with_norm(block, norm)
    return _with_pooling(_with_activation(block, activation), pooling)


def _linear_part(layer: _Layer, offsets: dict[str, int]) -> Block:
    """Build a block of one convolution or linear layer."""
    assert layer.models is not None, "convolutions and linear layers are modules"
    name = f"{layer.name}.weight".lstrip(".")
    if name not in offsets:
        raise _Unsolvable(f"{layer.name} is frozen, so the proof has no equations of it")
    weight = torch.stack([_tensor(model, "weight") for model in layer.models])
    bias = torch.stack(
        [
            _tensor(model, "bias") if model.bias is not None else weight.new_zeros(weight.shape[1])
            for model in layer.models
        ]
    )
    block = Block(layer.name, weight.flatten(2), bias, torch.ones_like(bias), offsets[name], (0, 0, 0))
    module = layer.models[0]
    if isinstance(module, nn.Linear):
        if len(layer.inputs) != 1:
            raise _Unsolvable(f"{layer.name} is applied to inputs of shape {list(layer.inputs)}")
        return replace(block, inputs=(module.in_features, 1, 1))
    assert isinstance(module, nn.Conv2d), "the caller passes convolutions and linear layers"
    if module.groups != 1 or set(module.dilation) != {1} or module.padding_mode != "zeros":
        raise _Unsolvable(f"{layer.name} is grouped, dilated, or padded with something else than zeros")
    if isinstance(module.padding, str):
        raise _Unsolvable(f"{layer.name} pads by the rule {module.padding!r}")
    channels, height, width = layer.inputs
    return replace(
        block,
        inputs=(channels, height, width),
        kernel=_pair(module.kernel_size),
        stride=_pair(module.stride),
        padding=_pair(module.padding),
    )


def _with_norm(block: Block, norm: _Layer) -> Block:
    """Fold a batch normalization in evaluation mode into the weight and the bias."""
    assert norm.models is not None, "a batch normalization is a module"
    weights, biases, factors = [], [], []
    for index, model in enumerate(norm.models):
        assert isinstance(model, nn.BatchNorm1d | nn.BatchNorm2d), "the caller passes batch normalizations"
        if model.running_mean is None or model.running_var is None:
            raise _Unsolvable(f"{norm.name} has no running statistics")
        factor = (model.running_var.double() + model.eps).rsqrt()
        factor = factor * _tensor(model, "weight") if model.affine else factor
        shift = _tensor(model, "bias") if model.affine else 0.0
        weights.append(block.weight[index] * factor.unsqueeze(1))
        biases.append((block.bias[index] - model.running_mean.double()) * factor + shift)
        factors.append(factor)
    return replace(
        block,
        weight=torch.stack(weights),
        bias=torch.stack(biases),
        gradient_scale=torch.stack(factors),
    )


def _with_activation(block: Block, layer: _Layer | None) -> Block:
    if layer is None:
        return block
    slope = 0.0
    if layer.models is not None and isinstance(layer.models[0], nn.LeakyReLU):
        slope = layer.models[0].negative_slope
        if slope <= 0:
            raise _Unsolvable(f"{layer.name} has the negative slope {slope}")
    return replace(block, activation=_ACTIVATIONS[layer.kind], negative_slope=slope)


def _with_pooling(block: Block, layer: _Layer | None) -> Block:
    if layer is None:
        return block
    assert layer.models is not None, "pooling layers are modules"
    module = layer.models[0]
    if isinstance(module, nn.AdaptiveAvgPool2d):
        if module.output_size not in (1, (1, 1)):
            raise _Unsolvable(f"{layer.name} pools to {module.output_size}, not to one value")
        return _average(replace(block, window=block.size), layer.name)
    assert isinstance(module, nn.MaxPool2d | nn.AvgPool2d), "these are the three pooling layers"
    window, stride = _pair(module.kernel_size), _pair(module.stride)
    if window != stride or _pair(module.padding) != (0, 0) or module.ceil_mode:
        raise _Unsolvable(f"{layer.name} has windows that overlap or exceed the map")
    if isinstance(module, nn.MaxPool2d):
        return replace(block, window=window)
    if module.divisor_override is not None:
        raise _Unsolvable(f"{layer.name} divides by {module.divisor_override} instead of averaging")
    return _average(replace(block, window=window), layer.name)


def _average(block: Block, name: str) -> Block:
    if block.activation not in ("identity", "relu"):
        raise _Unsolvable(f"{name} averages over the {block.activation} of {block.name}, which is not linear")
    return replace(block, pooling="average")


def _normalization(model: nn.Module, channels: int) -> tuple[Tensor, Tensor]:
    """Return the mean and the standard deviation by which a `Normalized` wrapper normalizes images."""
    for module in model.modules():
        if isinstance(module, Normalized):
            return (
                module.mean.double().expand(channels, 1, 1).flatten().contiguous(),
                module.std.double().expand(channels, 1, 1).flatten().contiguous(),
            )
    return torch.zeros(channels, dtype=torch.float64), torch.ones(channels, dtype=torch.float64)


def _offsets(network: nn.Module) -> dict[str, int]:
    """Return the first coordinate in a proof of each trained parameter."""
    offsets, start = {}, 0
    for name, parameter in trainable_parameters(network).items():
        offsets[name] = start
        start += parameter.numel()
    return offsets


def _tensor(module: nn.Module, name: str) -> Tensor:
    return getattr(module, name).detach().double()


def _pair(value: int | Sequence[int]) -> Size:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
