"""Matmul of rows with the fastest library that torch offers."""

import torch
from torch import Tensor

# With fewer rows, memory limits the speed of a matmul, and all libraries are equally fast.
_MIN_ROWS = 64


def matmul_transposed(left: Tensor, right: Tensor) -> Tensor:
    """Compute the inner products of rows, `left @ right.T`.

    On a CPU, torch multiplies with MKL, which does not use all AVX-512 units of AMD processors. oneDNN, which torch
    uses for convolutions and for compiled linear layers, does. torch has no public function for oneDNN's matmul in
    float32, so this function calls a private one, or MKL if that is missing.

    Measured on an AMD EPYC with AVX-512 in alternating runs, MKL takes 1.3 to 1.5 times as long as oneDNN (median
    ratio) to project 1,000 vectors of 66,570 numbers onto 300 directions, and 1.1 to 1.3 times as long for Gram
    matrices of 1,024 rows. The public `Tensor.to_mkldnn` copies both matrices and takes 1.5 times as long as the
    private function for the projection.

    Args:
        left: `[n, d]`.
        right: `[m, d]`.

    Returns:
        `[n, m]`.
    """
    use_torch = left.device.type != "cpu" or left.dtype != torch.float32 or right.dtype != torch.float32
    if use_torch or min(len(left), len(right)) < _MIN_ROWS or not _HAS_ONEDNN:
        return left @ right.T
    # oneDNN has no fast path for strided rows, which take it a thousand times as long as copying them.
    dense = right if right.is_contiguous() or right.T.is_contiguous() else right.contiguous()
    return torch.ops.mkldnn._linear_pointwise(left, dense, None, "none", [], "")


_HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
