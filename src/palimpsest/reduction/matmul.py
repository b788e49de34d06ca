"""The matrix product, by the fastest of torch's libraries."""

import torch
from torch import Tensor

# Rows below which a product only waits for memory: any library will do.
_MANY = 64


def matmul_transposed(left: Tensor, right: Tensor) -> Tensor:
    """The inner products of rows.

    On a CPU torch multiplies with MKL, which leaves half of some processors' width unused (AVX-512 of AMD's). oneDNN,
    which torch has for its convolutions and its compiler for linear layers, takes all of it: twice as fast there.

    Args:
        left: `[n, d]`.
        right: `[m, d]`.

    Returns:
        `[n, m]`.
    """
    plain = left.device.type != "cpu" or left.dtype != torch.float32 or right.dtype != torch.float32
    if plain or min(len(left), len(right)) < _MANY or not _HAS_ONEDNN:
        return left @ right.T
    # oneDNN has no fast path for rows that lie apart in memory: a thousand times slower than a copy of them.
    dense = right if right.is_contiguous() or right.T.is_contiguous() else right.contiguous()
    return torch.ops.mkldnn._linear_pointwise(left, dense, None, "none", [], "")


_HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
