import copy
import json

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from palimpsest.datasets import ImageSet, RowSet
from palimpsest.proofs import Proofs, load_proofs, prove, save_proofs
from palimpsest.storage import parameters_hash


def network(*, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 5), nn.Dropout(0.5), nn.ReLU(), nn.Linear(5, 3))


ORIGINAL, UNLEARNED = network(seed=1), network(seed=2)
FORGOTTEN = ImageSet("forgotten", torch.rand(6, 1, 4, 4), torch.arange(6) % 3, 3)


def reference_gradient(model: nn.Module, row: int) -> torch.Tensor:
    """Return the gradient of one sample from a backward pass in eval mode: correct, slow."""
    model = copy.deepcopy(model).eval()
    F.cross_entropy(model(FORGOTTEN.images[[row]]), FORGOTTEN.labels[[row]]).backward()
    return torch.cat(
        [parameter.grad.flatten() for parameter in model.parameters() if parameter.grad is not None]
    )


def test_a_proof_is_the_difference_of_the_samples_gradients() -> None:
    proofs = prove(ORIGINAL, UNLEARNED, FORGOTTEN)
    expected = [reference_gradient(ORIGINAL, row) - reference_gradient(UNLEARNED, row) for row in range(6)]
    torch.testing.assert_close(proofs.vectors, torch.stack(expected))


def test_the_same_model_twice_gives_zero_proofs() -> None:
    assert prove(ORIGINAL, ORIGINAL, FORGOTTEN).vectors.count_nonzero() == 0


def test_metadata_describe_the_proofs(tmp_path) -> None:
    proofs = prove(ORIGINAL, UNLEARNED, FORGOTTEN)
    assert proofs.attested
    assert proofs.metadata == {
        "original": parameters_hash(ORIGINAL.state_dict()),
        "unlearned": parameters_hash(UNLEARNED.state_dict()),
        "loss": "cross_entropy",
        "mode": "eval",
        "order": "named_parameters",
        "defenses": "[]",
        "trainable": json.dumps({name: list(value.shape) for name, value in ORIGINAL.named_parameters()}),
        "parameters": "103 of 103",
    }
    save_proofs(tmp_path / "proofs.safetensors", proofs)
    assert load_proofs(tmp_path / "proofs.safetensors").metadata == proofs.metadata


@pytest.mark.parametrize("budget", [2**14, 2**30])
def test_the_memory_budget_does_not_change_a_proof(budget: int) -> None:
    torch.testing.assert_close(
        prove(ORIGINAL, UNLEARNED, FORGOTTEN, memory_budget=budget).vectors,
        prove(ORIGINAL, UNLEARNED, FORGOTTEN).vectors,
    )


def test_proves_rows_of_a_table() -> None:
    rows = RowSet("rows", FORGOTTEN.images.flatten(1), FORGOTTEN.labels, 3, tuple(map(str, range(16))))
    proofs: Proofs = prove(ORIGINAL, UNLEARNED, rows)
    torch.testing.assert_close(proofs.vectors, prove(ORIGINAL, UNLEARNED, FORGOTTEN).vectors)
