import pytest
import torch

from palimpsest.gradients.saved_tensor import SavedTensor


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
@pytest.mark.parametrize("differentiable", [False, True])
def test_returns_the_tensor_without_a_copy_until_it_is_modified(
    dtype: torch.dtype, differentiable: bool
) -> None:
    values = torch.arange(6).to(dtype)
    if differentiable and dtype.is_floating_point:
        values = values.requires_grad_() * 2
    with torch.no_grad():
        saved = SavedTensor(values)
    assert saved.get().data_ptr() == values.data_ptr()
    assert torch.equal(saved.get(), values.detach())
    assert not saved.get().requires_grad
    assert not saved.was_modified()
    values[:3].add_(1)
    assert saved.was_modified()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        saved.get()
