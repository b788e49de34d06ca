from pathlib import Path

import pytest
import torch

from palimpsest.reduction import CountSketch, FactoredProjection, VectorSketch
from palimpsest.storage import Record


def sketches() -> list[VectorSketch]:
    generator = torch.Generator().manual_seed(0)
    return [
        CountSketch.draw(30, 8, generator=generator),
        FactoredProjection.draw([(5, 4), (10,)], 8, generator=generator),
    ]


@pytest.mark.parametrize("sketch", sketches(), ids=lambda sketch: type(sketch).__name__)
def test_a_call_transforms_and_a_stored_sketch_is_found_by_its_name(
    sketch: VectorSketch, tmp_path: Path
) -> None:
    vectors = torch.randn(3, 30, generator=torch.Generator().manual_seed(1))
    assert torch.equal(sketch(vectors), sketch.transform(vectors))
    assert sketch(vectors).shape == (3, sketch.components)
    result = torch.zeros(3, sketch.components)
    sketch.add(result, vectors, start=0)
    torch.testing.assert_close(result, sketch(vectors))
    assert isinstance(sketch, Record)
