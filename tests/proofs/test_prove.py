import torch
from torch import nn

from palimpsest.datasets import ImageSet
from palimpsest.gradients import gradient_differences
from palimpsest.proofs import Proofs, prove
from palimpsest.storage import parameters_hash


def network(seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 3))


def test_proofs_are_the_gradient_differences_with_the_hashes_of_both_models() -> None:
    original, unlearned = network(1), network(2)
    images = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    forgotten = ImageSet("forgotten", images, torch.arange(5) % 3, 3)
    proofs = prove(original, unlearned, forgotten)
    assert isinstance(proofs, Proofs)
    expected = gradient_differences(original, unlearned, images, forgotten.labels)
    assert torch.equal(proofs.vectors, expected)
    assert proofs.metadata["original"] == parameters_hash(original.state_dict())
    assert proofs.metadata["unlearned"] == parameters_hash(unlearned.state_dict())
    assert proofs.metadata["original"] != proofs.metadata["unlearned"]
    assert proofs.metadata["loss"] == "cross_entropy"
