import pytest
import torch
from torch import nn

from palimpsest.gradients import parameter_count
from palimpsest.models import MultilayerPerceptron


@pytest.mark.parametrize(("shape", "count"), [((1, 28, 28), 159_010), ((3, 32, 32), 616_610)])
def test_has_the_stated_number_of_parameters(shape: tuple[int, int, int], count: int) -> None:
    assert parameter_count(MultilayerPerceptron()(shape, 10)) == count


def test_is_linear_layers_with_relu_on_the_flattened_image() -> None:
    model = MultilayerPerceptron(width=7, depth=2)((1, 4, 4), 3)
    first, second, last = (module for module in model.modules() if isinstance(module, nn.Linear))
    images = torch.rand(5, 1, 4, 4)
    hidden = second(first(images.flatten(1)).relu()).relu()
    assert hidden.shape == (5, 7)
    torch.testing.assert_close(model(images), last(hidden))
