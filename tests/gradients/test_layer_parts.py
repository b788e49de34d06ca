import torch
from tests.support.layer_gradients import noise, shaken
from torch import Tensor, nn

from palimpsest.gradients.factor_projection import FactorProjection
from palimpsest.gradients.layer_parts import Projector
from palimpsest.gradients.layerwise import Layerwise


def test_a_projector_decides_which_gradients_are_computed() -> None:
    model = shaken(nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)))
    factors = FactorProjection(noise(5, 2), None)
    projected, computed = dict[int, Tensor](), dict[int, Tensor]()
    projector = Projector(
        lambda start, shape: factors if (start, shape) == (0, (5, 6)) else None,
        lambda start, gradients: projected.update({start: gradients.clone()}),
    )

    def store(start: int, columns: Tensor) -> None:
        computed[start] = columns.clone()

    layerwise, samples, labels = Layerwise(model), noise(4, 6), torch.tensor([0, 1, 2, 0])
    layerwise.for_each_layer(samples, labels, store, projector)
    whole = torch.empty(4, 53, dtype=torch.float64)
    layerwise.write(samples, labels, whole)
    torch.testing.assert_close(projected[0], factors.outputs.T @ whole[:, :30].view(4, 5, 6))
    # The first bias alone, and the last layer as a whole.
    assert {start: columns.shape[1] for start, columns in computed.items()} == {30: 5, 35: 18}
    torch.testing.assert_close(computed[35], whole[:, 35:])
    assert layerwise.computed_width(projector) == 18
    assert layerwise.computed_width() == 35
