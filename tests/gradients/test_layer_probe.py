import pytest
import torch
from tests.support.layer_gradients import assert_equal, both, noise, shaken
from tests.support.shared_rows import RIGHT, WIDTH, WRONG, SharedRow
from torch import nn

from palimpsest.gradients.data_dependence import DataDependence
from palimpsest.gradients.layer_probe import LayerProbe
from palimpsest.gradients.layerwise import layers_of


def probe(model: nn.Module) -> LayerProbe:
    names = dict(model.named_parameters())
    return LayerProbe(model, layers_of(model, names), names)


@pytest.mark.parametrize("name", RIGHT)
def test_a_row_for_all_samples_is_expanded(name: str) -> None:
    assert_equal(*both(shaken(SharedRow(RIGHT[name])), noise(5, WIDTH)))


@pytest.mark.parametrize("name", WRONG)
def test_refuses_a_row_whose_expansion_would_change_the_result(name: str) -> None:
    model = shaken(SharedRow(WRONG[name]))
    assert model(noise(2, WIDTH)).shape[0] == 2
    assert not probe(model).accepts(noise(2, WIDTH))


def test_the_trace_has_the_tensors_of_each_use_and_the_logits() -> None:
    model = shaken(nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 3)))
    rows = noise(2, 3)
    with DataDependence() as dependence:
        trace = probe(model).trace(rows, dependence)
    hidden = model[0](rows)
    expected = [rows, hidden, hidden.tanh(), model(rows), model(rows)]
    torch.testing.assert_close(trace.tensors, expected)
    assert (trace.shared, trace.complete, dependence.found) == (False, True, False)


def test_the_trace_is_incomplete_if_a_parameter_is_used_elsewhere() -> None:
    model = shaken(SharedRow(lambda rows, row: rows + row + model.row.bias))
    with DataDependence() as dependence:
        trace = probe(model).trace(noise(2, WIDTH), dependence)
    assert (trace.shared, trace.complete) == (True, False)
