import pytest
import torch

from palimpsest.gradients import parameter_count
from palimpsest.models import ResNet20

CIFAR = (3, 32, 32)


@pytest.mark.parametrize(("classes", "count"), [(10, 269_722), (100, 275_572)])
def test_has_the_published_number_of_parameters(classes, count):
    assert parameter_count(ResNet20()(CIFAR, classes)) == count


def test_width_scales_the_channels():
    assert parameter_count(ResNet20(width=3)(CIFAR, 10)) < parameter_count(ResNet20(width=4)(CIFAR, 10))


def test_shortcut_subsamples_and_pads_channels_with_zeros():
    model = ResNet20(width=2)(CIFAR, 10)
    block = next(module for module in model if getattr(module, "stride", 1) == 2)
    with torch.no_grad():
        block.normalization2.weight.zero_()  # leaves only the shortcut
    images = torch.rand(1, 2, 8, 8)
    output = block(images)
    assert output.shape == (1, 4, 4, 4)
    torch.testing.assert_close(output[:, 1:3], images[:, :, ::2, ::2])
    assert output[:, [0, 3]].count_nonzero() == 0
