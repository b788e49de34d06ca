from typing import Any

import pytest
import torch

import palimpsest as pp
from palimpsest.errors import PalimpsestError


@pytest.mark.parametrize("value", [[], [[1.0, 2.0]], None, torch.rand(3), torch.ones(2, 2).long()])
def test_vectors_of_another_kind_are_refused_with_a_typed_error(value: Any) -> None:
    generator = torch.Generator()
    calls: list[Any] = [
        lambda: pp.verify(value, tau=1.0),
        lambda: pp.verify(torch.rand(2, 3), calibrate=value, tau=None if value is not None else -1.0),
        lambda: pp.defend(value, "sign", generator=generator),
    ]
    for call in calls:
        with pytest.raises(PalimpsestError):
            call()
