from pathlib import Path
from typing import Any

import pytest
import torch
from tests.support.artifacts import NO_MODELS, Make, load
from tests.support.counting_oracle import CountingOracle

from palimpsest.artifacts.auditor import models_of
from palimpsest.datasets import RowSet
from palimpsest.errors import ConfigurationError, DatasetError, PalimpsestError, ProofError
from palimpsest.proofs import Proofs, save_proofs


@pytest.mark.parametrize(
    ("keys", "error", "words"),
    [
        ({"unlearned": None}, ConfigurationError, "unlearned is missing"),
        ({"image_size": 16}, PalimpsestError, r"images of shape \(1, 16, 16\)"),
    ],
)
def test_rejects_inconsistent_artifacts(
    case: Make, here: Path, keys: dict[str, Any], error: type[PalimpsestError], words: str
) -> None:
    with pytest.raises(error, match=words):
        load(case(**keys), here)


def test_rejects_proofs_of_another_dimension(case: Make, here: Path) -> None:
    save_proofs(here / "others.safetensors", Proofs(torch.rand(12, 7)))
    with pytest.raises(ProofError, match="7 numbers"):
        load(case(proofs=str(here / "others.safetensors")), here)


def test_rejects_aggregated_proofs(case: Make, here: Path) -> None:
    metadata = {"granularity": "client", "group_sizes": "[4, 4, 4]"}
    save_proofs(here / "means.safetensors", Proofs(torch.rand(3, 7), metadata))
    with pytest.raises(ProofError, match="aggregated proofs"):
        load(case(proofs=str(here / "means.safetensors")), here)


def test_rejects_a_truth_of_another_length(case: Make, here: Path, pieces: Path) -> None:
    with pytest.raises(DatasetError, match="48 images"):
        load(case(truth=str(pieces / "images")), here)


def test_normalizes_only_images(case: Make) -> None:
    rows = RowSet("table", torch.rand(4, 2), torch.zeros(4, dtype=torch.int64), 1, ("a", "b"))
    with pytest.raises(ConfigurationError, match="table holds rows of a table"):
        models_of(case(mean=[0.5], std=[0.5]), rows, device="cpu")


def test_without_models_takes_dimension_and_classes_from_oracle_and_folders(
    case: Make, here: Path, counting_oracle: CountingOracle
) -> None:
    held = load(case(oracle={"source": counting_oracle.source}, **NO_MODELS), here)
    assert held.models is None
    assert held.class_names == ("class0", "class1", "class2")
    assert held.oracle_source.oracle.dimension == held.proofs.vectors.shape[1]
    assert counting_oracle.asked == []


def test_query_budget_limits_auxiliary_samples_and_remaining_queries(
    case: Make, here: Path, counting_oracle: CountingOracle
) -> None:
    def held(budget: int) -> Any:
        return load(
            case(oracle={"source": counting_oracle.source, "query_budget": budget}, **NO_MODELS), here
        )

    small, large = held(30), held(60)
    assert len(small.auxiliary) == 30
    assert small.notes == (
        "Only 30 of the 48 auxiliary samples were used, because the query budget is 30 samples.",
    )
    assert small.view(device="cpu", memory_budget=2**20).remaining_queries == 0
    assert (len(large.auxiliary), large.notes) == (48, ())
    view = large.view(device="cpu", memory_budget=2**20)
    assert (view.remaining_queries, view.memory_budget) == (12, 2**19)
