"""Linear functions of one model's per-sample gradients, summed layer by layer during the backward pass."""

from functools import partial

import torch
from torch import Tensor, nn

from palimpsest.gradients.coverage import columns_of, copies_stay_apart, find_coverage, only_trainable
from palimpsest.gradients.dispatch import GradientEngine, find_layerwise, select_engine
from palimpsest.gradients.factor_projection import FactorProjection
from palimpsest.gradients.layer_parts import Projector
from palimpsest.gradients.layerwise import Layerwise
from palimpsest.gradients.linear_reduction import Additive, Factored
from palimpsest.gradients.trainable import trainable_parameters


class RemainingParameters:
    """Per-sample gradients of the parameters that no rule covers, computed in a pass of their own.

    Args:
        model: The model, in eval mode.
        names: Names of the parameters.
        images: One or more images of the shape that the engine will be called with.
        count: Number of samples that the engine will be called with, over all calls.
    """

    def __init__(self, model: nn.Module, names: tuple[str, ...], images: Tensor, count: int) -> None:
        """Select an engine for these parameters alone."""
        self._model, self._names = model, names
        trainable = trainable_parameters(model)
        self._columns = columns_of(trainable)
        self._own = columns_of({name: trainable[name] for name in names})
        self._parameter = trainable[names[0]]
        with only_trainable(model, names):
            self._engine: GradientEngine = select_engine(model, images, count)

    @property
    def width(self) -> int:
        """Number of these parameters."""
        return max(columns.stop for columns in self._own.values())

    def add_to(self, result: Tensor, images: Tensor, labels: Tensor, reduction: Additive, sign: int) -> None:
        """Add the contribution of these parameters; see `ReducedEngine.add_to`."""
        gradients = torch.empty(
            len(images), self.width, dtype=self._parameter.dtype, device=self._parameter.device
        )
        with only_trainable(self._model, self._names):
            self._engine.write(images, labels, gradients)
        for name, columns in self._own.items():
            reduction.add(result, gradients[:, columns], start=self._columns[name].start, sign=sign)


class ReducedEngine:
    """Linear function of a model's per-sample gradients that never forms a whole vector.

    Args:
        layerwise: The layer-by-layer engine of the parameters that it supports.
        layout: Memory format of its images.
        remaining: The engine of all other parameters, or None if there are no others.
    """

    def __init__(
        self, layerwise: Layerwise, layout: torch.memory_format, remaining: RemainingParameters | None
    ) -> None:
        """Hold the engines."""
        self._layerwise, self._layout, self._remaining = layerwise, layout, remaining

    def width(self, reduction: Additive) -> int:
        """Return the largest number of gradients of a sample that are in memory at once.

        Args:
            reduction: The linear function.
        """
        factored = isinstance(reduction, Factored)
        projector = Projector(partial(_find, reduction), lambda *_: None) if factored else None
        remaining = self._remaining.width if self._remaining else 0
        return max(self._layerwise.computed_width(projector), remaining)

    def add_to(self, result: Tensor, images: Tensor, labels: Tensor, reduction: Additive, sign: int) -> None:
        """Add the linear function of each sample's gradient of the cross-entropy.

        Args:
            result: Sum that is added to in place, `[n, k]`.
            images: `[n, ...]`.
            labels: Class indices, `[n]`.
            reduction: The linear function.
            sign: 1 to add, -1 to subtract.

        Raises:
            RowCountError: A layer's inputs are not one row for each sample, unlike in the probe.
        """
        projector = None
        if isinstance(reduction, Factored):
            projector = Projector(
                partial(_find, reduction, like=result),
                lambda start, projected: reduction.add_projected(result, projected, start=start, sign=sign),
            )
        self._layerwise.for_each_layer(
            images.contiguous(memory_format=self._layout),
            labels,
            lambda start, columns: reduction.add(result, columns, start=start, sign=sign),
            projector,
        )
        if self._remaining:
            self._remaining.add_to(result, images, labels, reduction, sign)


def find_reduced_engine(model: nn.Module, images: Tensor, count: int) -> ReducedEngine | None:
    """Find the engine that reduces a model's per-sample gradients layer by layer.

    Parameters that no rule covers get copies for each sample or a pass of their own; all others get the rules.

    Args:
        model: The model, in eval mode.
        images: One or more images of the shape that the engine will be called with.
        count: Number of samples that the engine will be called with, over all calls.

    Returns:
        The engine, or None if no parameter is covered or the samples don't stay apart.
    """
    coverage = find_coverage(model)
    if coverage.copied and not copies_stay_apart(model, images, coverage.copied):
        coverage = coverage.without_copies()
    if not coverage.by_rule:
        return None
    found = find_layerwise(model, images, coverage)
    if found is None:
        return None
    remaining = RemainingParameters(model, coverage.others, images, count) if coverage.others else None
    return ReducedEngine(*found, remaining)


def _find(
    reduction: Factored, start: int, shape: tuple[int, int], like: Tensor | None = None
) -> FactorProjection | None:
    """Return the matrices for a parameter, in the type and on the device of a tensor."""
    found = reduction.factors(start, shape)
    if found is None or like is None:
        return found and FactorProjection(*found)
    return FactorProjection(*(matrix if matrix is None else matrix.to(like) for matrix in found))
