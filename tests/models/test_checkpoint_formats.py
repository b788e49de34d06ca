"""Every checkpoint format in the docs is read with the right values, or refused with the sentence in the docs."""

import copy
import re
from pathlib import Path

import pytest
import torch
from tests.support.checkpoint_formats import CHECKPOINT_FORMATS, CheckpointFormat, Net, changed, trained
from torch import Tensor, nn

from palimpsest.datasets import ImageSet
from palimpsest.errors import CheckpointError
from palimpsest.models import load_checkpoint, load_custom_model
from palimpsest.proofs import prove

IMAGES = torch.rand(3, 1, 5, 5, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 2, 1])


def reference_gradients(network: nn.Module) -> Tensor:
    """Return the gradient of each image's loss by one backward pass each (correct, slow)."""
    rows = []
    for image, label in zip(IMAGES, LABELS, strict=True):
        loss = nn.functional.cross_entropy(network(image[None]), label[None])
        rows.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(network.parameters()))]))
    return torch.stack(rows)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning", "ignore:.*torch.jit.*:DeprecationWarning")
@pytest.mark.parametrize("form", CHECKPOINT_FORMATS, ids=str)
def test_every_format_is_read_with_the_right_values_or_refused(
    form: CheckpointFormat, tmp_path: Path
) -> None:
    path = form.write(tmp_path)
    if form.refusal:
        with pytest.raises(CheckpointError, match=re.escape(form.refusal)) as refused:
            load_checkpoint(path, Net(), twin=Net())
        assert str(path) in str(refused.value)
        return
    matched = load_checkpoint(path, Net(), twin=Net())
    assert bool(matched.notes) == bool(form.note)
    assert form.note in "; ".join(matched.notes)
    expected = trained()
    if form.change is None:
        for name, value in expected.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                assert torch.equal(matched.parameters[name].float(), value.float()), name
    loaded = load_custom_model(Net(), matched.parameters)
    proofs = prove(loaded, trained(2), ImageSet("forgotten", IMAGES, LABELS, 3)).vectors
    plain = expected
    if form.change is not None:
        plain = copy.deepcopy(expected)
        parted = changed(form.change).eval()
        parted(IMAGES)
        with torch.no_grad():
            plain.conv.weight.copy_(parted.conv.weight)
    difference = reference_gradients(plain) - reference_gradients(trained(2))
    torch.testing.assert_close(proofs, difference, rtol=1e-4, atol=1e-6)
