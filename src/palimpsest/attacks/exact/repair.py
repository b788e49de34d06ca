"""Correction of single wrong switches by what is left of the proof's equations.

One wrong switch leaves an error in one row of the equations: the loss gradient times the difference of two patches. In
each row, the change of a doubtful switch that explains most of the error is made.
"""

import torch
from torch import Tensor

from palimpsest.attacks.exact.routing import Known, both_models

# A pre-activation that misses its bound by less than this share of their root mean square leaves the switch doubtful.
_DOUBTFUL = 0.02
# Share of a row's error that a change must explain.
_EXPLAINED = 0.3


def repair_switches(known: Known, switches: Tensor, inputs: Tensor) -> Tensor:
    """Make at most one change in each row of the proof's equations.

    Args:
        known: The block, its outputs, and its equations.
        switches: Switches as 0 and 1, `[n, 2, *outputs, window]`.
        inputs: Solved inputs, `[n, m, *inputs]`.

    Returns:
        The changed switches.
    """
    block = known.block
    before, patches = block.before_activation(inputs), block.patches(inputs)
    error = known.rows - block.weight_gradient(known.loss_gradients(switches), patches)
    scale = (known.scale * block.gradient_scale.view(1, 2, -1, 1, 1)).unsqueeze(-1)
    fit = scale * block.windows(error.unsqueeze(1) @ patches)
    windows = block.windows(patches)
    gram = both_models(torch.einsum("nmqhwk,nmqhwl->nmhwkl", windows, windows))
    lengths = gram.diagonal(dim1=-2, dim2=-1).unsqueeze(2)
    tolerance = _DOUBTFUL * before.square().mean((1, 2, 3, 4, 5), keepdim=True).sqrt()
    if block.pooling == "average":
        gain = 2 * (1 - 2 * switches) * fit - scale.square() * lengths
        gain = torch.where(before.abs() <= tolerance, gain, -torch.inf)
        chosen = _best_in_row(gain, error)
        return torch.where(chosen, 1 - switches, switches)
    shared = torch.einsum("nmhwkl,nmohwl->nmohwk", gram, switches)
    squared = (shared * switches).sum(-1, keepdim=True)
    current = (fit * switches).sum(-1, keepdim=True)
    gain = 2 * (fit - current) - scale.square() * (lengths - 2 * shared + squared)
    target = known.target.unsqueeze(-1)
    gain = torch.where((before - target).abs() <= tolerance, gain, -torch.inf)
    silent = torch.where(target <= tolerance, -2 * current - scale.square() * squared, -torch.inf)
    if block.activation != "relu":
        silent = torch.full_like(silent, -torch.inf)
    chosen = _best_in_row(torch.cat([gain, silent], -1), error)
    changed = chosen.any(-1, keepdim=True)
    return torch.where(changed, chosen[..., :-1].to(switches.dtype), switches)


def _best_in_row(gain: Tensor, error: Tensor) -> Tensor:
    """Mark the change with the largest gain in each row, if it explains enough of the error; bool, as the gains."""
    rows = gain.transpose(1, 2)
    flat = rows.flatten(2)
    best, place = flat.max(2, keepdim=True)
    enough = best > _EXPLAINED * error.square().sum(2, keepdim=True)
    return torch.zeros_like(flat, dtype=torch.bool).scatter(2, place, enough).view(rows.shape).transpose(1, 2)
