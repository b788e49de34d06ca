"""The first layer of a network, if it is linear and takes the flattened image."""

import copy
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from palimpsest.errors import ModelError
from palimpsest.gradients import trainable_parameters
from palimpsest.storage import Parameters, cast_parameters

_PROBES = 64
# Largest relative error of an input that counts as a scaled and shifted image; float32 rounding is far below it.
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class FirstLayer:
    """Linear layer z = W u + b of m units, whose n inputs are u = offset + scale * image, pixel by pixel.

    Args:
        network: The model on the meta device, in evaluation mode.
        name: Name of the layer in `network.named_modules()`.
        weight: Position of W in a flattened gradient.
        bias: Position of b in a flattened gradient.
        offset: `[n]` float64.
        scale: `[n]` float64, not zero.
        shape: Channels, height and width of an image.
    """

    network: nn.Module
    name: str
    weight: slice
    bias: slice
    offset: Tensor
    scale: Tensor
    shape: tuple[int, int, int]

    @property
    def units(self) -> int:
        """Number of units, m."""
        return self.bias.stop - self.bias.start

    def gradient(self, flat: Tensor) -> Tensor:
        """Extract the layer's gradient from a flattened one.

        Args:
            flat: `[d]`.

        Returns:
            Gradient of the weights, with that of the bias as the last column, `[m, n + 1]` float64.
        """
        flat = flat.double()
        return torch.cat([flat[self.weight].view(self.units, -1), flat[self.bias][:, None]], dim=1)

    def weights(self, parameters: Parameters) -> Tensor:
        """Return W with b as the last column, `[m, n + 1]` float64.

        Args:
            parameters: State dict of the model.
        """
        weight, bias = (parameters[f"{self._prefix}{part}"].double() for part in ("weight", "bias"))
        return torch.cat([weight, bias[:, None]], dim=1)

    def images(self, inputs: Tensor) -> Tensor:
        """Convert inputs of the layer to images.

        Args:
            inputs: `[k, n]`.

        Returns:
            `[k, channels, height, width]`, not clamped.
        """
        return ((inputs - self.offset) / self.scale).unflatten(1, self.shape)

    def outputs(self, parameters: Parameters, images: Tensor) -> Tensor:
        """Compute the layer's outputs z, before the activation, `[k, m]`.

        Args:
            parameters: State dict of the model.
            images: `[k, channels, height, width]`.
        """
        return self._run(parameters, images, None)[0]

    def output_gradients(self, parameters: Parameters, images: Tensor, labels: Tensor) -> Tensor:
        """Compute the gradient of each sample's loss with respect to the layer's output, `[k, m]`.

        Args:
            parameters: State dict of the model.
            images: `[k, channels, height, width]`.
            labels: `[k]` int64.
        """
        shift = torch.zeros(len(images), self.units, dtype=images.dtype, requires_grad=True)
        logits = self._run(parameters, images, shift)[1]
        (gradients,) = torch.autograd.grad(F.cross_entropy(logits, labels, reduction="sum"), shift)
        return gradients

    def check_relu(self, parameters: Parameters, images: Tensor, labels: Tensor, *, attack: str) -> None:
        """Check that a ReLU follows the layer: units with a negative output have a gradient of exactly zero.

        Args:
            parameters: State dict of the model.
            images: Any images, `[k, channels, height, width]`.
            labels: `[k]` int64.
            attack: Name of the attack for the error message.

        Raises:
            ModelError: Another activation follows.
        """
        images, labels = images[:_PROBES], labels[:_PROBES]
        outputs = self.outputs(parameters, images)
        gradients = self.output_gradients(parameters, images, labels)
        leaking = float((gradients[outputs < 0] != 0).double().mean()) if bool((outputs < 0).any()) else 0.0
        if leaking:
            raise ModelError(
                f"{attack} needs a ReLU after the first linear layer {self.name!r}, but {leaking:.0%} of its negative "
                "outputs have a gradient that is not zero. Choose cocktail-party, which needs no ReLU, or --model.name "
                "mlp."
            )

    @property
    def _prefix(self) -> str:
        return f"{self.name}." if self.name else ""

    def _run(self, parameters: Parameters, images: Tensor, shift: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the layer's outputs, shifted by `shift`, and the logits."""
        found: list[Tensor] = []

        def record(_: nn.Module, __: Any, output: Tensor) -> Tensor:
            found.append(output if shift is None else output + shift)
            return found[0]

        handle = self.network.get_submodule(self.name).register_forward_hook(record)
        try:
            cast = cast_parameters(parameters, images.dtype)
            logits = functional_call(self.network, cast, (images,))
        finally:
            handle.remove()
        return found[0].detach(), logits


def find_first_layer(
    architecture: nn.Module, parameters: Parameters, shape: tuple[int, int, int], *, attack: str
) -> FirstLayer:
    """Find the first trainable layer of a model, and check that it is linear on the flattened image.

    Args:
        architecture: The model, on any device.
        parameters: State dict of the model, on the CPU.
        shape: Channels, height and width of an image.
        attack: Name of the attack for error messages.

    Returns:
        The layer.

    Raises:
        ModelError: The first trainable layer is of another kind, has no bias, or does not take the flattened image.
    """
    positions, start = {}, 0
    for name, parameter in trainable_parameters(architecture).items():
        positions[name] = slice(start, start + parameter.numel())
        start += parameter.numel()
    network = copy.deepcopy(architecture).to("meta").eval().requires_grad_(False)
    owners = {name.rpartition(".")[0] for name in positions}
    name, inputs = _first_inputs(network, parameters, owners, shape)
    prefix = f"{name}." if name else ""
    layer = network.get_submodule(name)
    kind = f"{type(layer).__name__} {name!r}"
    if not isinstance(layer, nn.Linear):
        raise ModelError(_needs(attack, f"the first trainable layer of this one is {kind}"))
    if not {f"{prefix}weight", f"{prefix}bias"} <= positions.keys():
        raise ModelError(_needs(attack, f"{kind} of this one has no trainable bias"))
    affine = _affine(inputs)
    if affine is None:
        raise ModelError(
            _needs(attack, f"{kind} of this one takes something else than scaled and shifted pixels")
        )
    weight, bias = positions[f"{prefix}weight"], positions[f"{prefix}bias"]
    return FirstLayer(network, name, weight, bias, *affine, shape)


def _first_inputs(
    network: nn.Module, parameters: Parameters, owners: set[str], shape: tuple[int, int, int]
) -> tuple[str, tuple[Tensor, Tensor]]:
    """Return the name of the first layer that is called, and its inputs for the probes, next to the flat probes."""
    called: list[tuple[str, Tensor]] = []
    # Black, white, and a random image: the first two give shift and scale, and the third one checks them.
    noise = torch.rand(1, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    probes = torch.cat([torch.zeros_like(noise), torch.ones_like(noise), noise])

    def recorder(name: str) -> Any:
        return lambda _, arguments: called.append((name, arguments[0]))

    handles = [
        network.get_submodule(name).register_forward_pre_hook(recorder(name)) for name in sorted(owners)
    ]
    try:
        functional_call(network, cast_parameters(parameters, probes.dtype), (probes,))
    finally:
        for handle in handles:
            handle.remove()
    name, inputs = called[0]
    return name, (probes.flatten(1), inputs)


def _affine(pair: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor] | None:
    """Return shift and scale if the layer's inputs are shifted and scaled pixels, otherwise None."""
    probes, inputs = pair
    if inputs.shape != probes.shape:
        return None
    offset, scale = inputs[0], inputs[1] - inputs[0]
    wrong = (inputs[2] - offset - scale * probes[2]).abs().max() > _TOLERANCE * scale.abs().max()
    return None if bool(wrong) or bool((scale == 0).any()) else (offset, scale)


def _needs(attack: str, reason: str) -> str:
    return (
        f"{attack} needs a model whose first trainable layer is linear, has a bias and takes the flattened image, but "
        f"{reason}. Choose --model.name mlp, or an attack that optimizes images, such as dragdp."
    )
