"""Reading of a classifier as a chain of blocks, from its layers and their order in `forward`."""

import copy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx, nn

from palimpsest.attacks.exact.block import Block
from palimpsest.attacks.exact.chain import Chain
from palimpsest.attacks.exact.read_block import Layer, UnsolvableError, pop_block, tensor_of
from palimpsest.errors import KnowledgeError
from palimpsest.gradients import parameter_count, trainable_parameters
from palimpsest.models import Normalized, bare

_FLATTENING = (nn.Flatten, nn.Dropout, nn.Dropout2d, nn.Identity, torch.flatten, "flatten", "view", "reshape")
# Number of images that show whether the layers before the first block can return negative values.
_PROBES = 16


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
            f"The last layer of {type(networks[0]).__name__} is not a trained linear layer with a bias, so igf-exact "
            "has nothing to start from. Choose igf-plus."
        )
    assert last.models is not None, "a linear layer is a module"
    weights = torch.stack([tensor_of(model, "weight") for model in last.models])
    biases = torch.stack([tensor_of(model, "bias") for model in last.models])
    blocks: list[Block] = []
    while layers:
        try:
            blocks.insert(0, pop_block(layers, offsets))
        except UnsolvableError as error:
            limit = str(error)
            break
    chain = Chain(tuple(blocks), weights, biases, parameter_count(networks[0]), mean, std, last.name, limit)
    trunk = Trunk(models, chain)
    if limit and trunk.inputs(torch.linspace(0, 1, _PROBES).view(-1, 1, 1, 1).expand(-1, *shape)).min() >= 0:
        chain = replace(chain, entry="relu")
    if not limit and not blocks:
        raise KnowledgeError(f"{type(networks[0]).__name__} is one linear layer. Choose linear-layer.")
    return chain, Trunk(models, chain)


def _trace(networks: tuple[nn.Module, nn.Module], shape: tuple[int, int, int]) -> tuple[list[Layer], str]:
    """List the steps of the forward pass, last ones first found, and the reason why earlier ones are missing."""
    try:
        graph = fx.symbolic_trace(networks[0])
    # Tracing runs the user's forward pass on placeholders, which may raise anything.
    except Exception as error:
        reason = " ".join(str(error).split())[:150]
        raise KnowledgeError(
            f"The forward pass of {type(networks[0]).__name__} can't be traced ({reason}). Choose igf-plus, which "
            "does not need the order of the layers."
        ) from error
    shapes = _input_shapes(graph, shape)
    second = dict(networks[1].named_modules())
    layers: list[Layer] = []
    node = next(iter(reversed(graph.graph.nodes))).all_input_nodes[0]
    while node.op != "placeholder":
        if len(node.all_input_nodes) != 1 or len(node.users) > 1:
            return layers, f"{node.name} joins or splits paths of the network"
        models = None
        kind: Any = node.target
        if node.op == "call_module":
            first = graph.get_submodule(str(node.target))
            models, kind = (first, second[str(node.target)]), type(first)
        layers.insert(0, Layer(kind, str(node.target), models, shapes[node.name]))
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
