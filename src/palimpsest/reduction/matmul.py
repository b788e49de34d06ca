"""Matrix products of rows, by the fastest of torch's libraries."""

import torch
from torch import Tensor

# With fewer rows a product waits for memory, and no library is faster than another.
_MANY = 64


def matmul_transposed(left: Tensor, right: Tensor) -> Tensor:
    """The inner products of rows, `left @ right.T`.

    On a CPU torch multiplies with MKL, which leaves a part of the AVX-512 units of AMD's processors unused. oneDNN,
    which torch has for convolutions and for its compiler's linear layers, uses all of them. torch has no public
    function for oneDNN's product in float32, so this one place calls a private one, or MKL if that is missing.
    Measured on an AMD EPYC with AVX-512, in alternating runs, the median ratio of MKL's time to oneDNN's: 1.3 to 1.5 to
    project 1,000 vectors of 66,570 numbers onto 300 directions, 1.1 to 1.3 for Gram matrices of 1,024 rows. The public
    `Tensor.to_mkldnn` copies both matrices, and takes 1.5 times as long as the private function for the projection.

    Args:
        left: `[n, d]`.
        right: `[m, d]`.

    Returns:
        `[n, m]`.
    """
    plain = left.device.type != "cpu" or left.dtype != torch.float32 or right.dtype != torch.float32
    if plain or min(len(left), len(right)) < _MANY or not _HAS_ONEDNN:
        return left @ right.T
    # oneDNN has no fast path for strided rows: it is then a thousand times slower than a copy of them.
    dense = right if right.is_contiguous() or right.T.is_contiguous() else right.contiguous()
    return torch.ops.mkldnn._linear_pointwise(left, dense, None, "none", [], "")


_HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
