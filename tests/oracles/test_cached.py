from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest.errors import CheckpointError, OracleError
from palimpsest.oracles import RecordedOracle
from palimpsest.oracles.cached import check_answer
from palimpsest.storage import read_tensors, save_tensors

WEIGHT = torch.rand(4, 6, generator=torch.Generator().manual_seed(1))


class LinearOracle:
    """Answers with a linear function, and counts the samples of each query."""

    def __init__(self) -> None:
        self.counts: list[int] = []

    def __call__(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        self.counts.append(len(images))
        return images.flatten(1) @ WEIGHT + labels[:, None]


def samples(rows: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    numbers = torch.tensor(rows)
    return (numbers[:, None] * torch.tensor([[0.1, 0.2, 0.3, 0.05]])).view(-1, 1, 2, 2), numbers % 3


def whole(oracle: RecordedOracle, rows: list[int]) -> torch.Tensor:
    return torch.cat(list(oracle.differences(*samples(rows))))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=9), min_size=1, max_size=5), st.integers(1, 4)
)
def test_answers_are_those_of_the_oracle_and_no_sample_is_queried_twice(
    tmp_path_factory: pytest.TempPathFactory, questions: list[list[int]], batch: int
) -> None:
    folder, source = tmp_path_factory.mktemp("answers"), LinearOracle()
    for rows in questions:
        # A new cache each time, as after a run was killed.
        oracle = RecordedOracle(source, 6, folder=folder, batch_size=batch)
        torch.testing.assert_close(whole(oracle, rows), LinearOracle()(*samples(rows)))
        assert oracle.asked == sum(source.counts)
    assert sum(source.counts) == len({row for rows in questions for row in rows})
    assert max(source.counts) <= batch


def test_the_budget_counts_samples_of_earlier_runs(tmp_path: Path) -> None:
    source = LinearOracle()
    whole(RecordedOracle(source, 6, folder=tmp_path, batch_size=4, budget=7), [0, 1, 2, 3, 4])
    oracle = RecordedOracle(source, 6, folder=tmp_path, batch_size=4, budget=7)
    whole(oracle, [0, 1, 2, 3, 5, 6])
    with pytest.raises(OracleError, match="budget of 7 samples is exhausted"):
        whole(oracle, [7])
    assert sum(source.counts) == 7


def test_bfloat16_answers_are_rounded_before_their_first_use(tmp_path: Path) -> None:
    first, again = (
        whole(
            RecordedOracle(LinearOracle(), 6, folder=tmp_path, batch_size=4, storage_dtype="bfloat16"),
            [1, 2, 3],
        )
        for _ in range(2)
    )
    exact = LinearOracle()(*samples([1, 2, 3]))
    assert torch.equal(first, again)
    assert torch.equal(first, exact.bfloat16().float())
    assert not torch.equal(first, exact)
    (file,) = tmp_path.iterdir()
    assert read_tensors(file)[0]["vectors"].dtype == torch.bfloat16
    # Answers stored in another type belong to another oracle.
    with pytest.raises(CheckpointError, match="BF16"):
        RecordedOracle(LinearOracle(), 6, folder=tmp_path, batch_size=4)


def test_answers_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    whole(RecordedOracle(LinearOracle(), 6, folder=tmp_path / "oracle", batch_size=4), [1])
    (file,) = (tmp_path / "oracle").iterdir()
    assert file.stat().st_mode & 0o077 == 0


def test_names_a_damaged_file(tmp_path: Path) -> None:
    (tmp_path / "answers-0.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="answers-0"):
        RecordedOracle(LinearOracle(), 6, folder=tmp_path, batch_size=4)


@pytest.mark.parametrize(
    "stored",
    [
        {"keys": torch.zeros(2, 16, dtype=torch.uint8), "vectors": torch.zeros(2, 5)},
        {"keys": torch.zeros(2, 16, dtype=torch.uint8), "vectors": torch.zeros(1, 6)},
        {"keys": torch.zeros(2, 16), "vectors": torch.zeros(2, 6)},
        {"keys": torch.zeros(2, 0, dtype=torch.uint8), "vectors": torch.zeros(2, 6)},
        {"vectors": torch.zeros(2, 6)},
    ],
)
def test_checks_files_from_other_sources(tmp_path: Path, stored: dict) -> None:
    save_tensors(tmp_path / "answers-0.safetensors", stored)
    with pytest.raises(CheckpointError, match="answers-0"):
        RecordedOracle(LinearOracle(), 6, folder=tmp_path, batch_size=4)


def test_rejects_a_stored_answer_that_is_not_finite(tmp_path: Path) -> None:
    whole(RecordedOracle(LinearOracle(), 6, folder=tmp_path, batch_size=4), [1])
    (file,) = tmp_path.iterdir()
    tensors, _ = read_tensors(file)
    save_tensors(file, tensors | {"vectors": torch.full((1, 6), torch.inf)})
    with pytest.raises(OracleError, match="not finite"):
        whole(RecordedOracle(LinearOracle(), 6, folder=tmp_path, batch_size=4), [1])


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (torch.zeros(2, 5), r"\(2, 5\), not \(2, 6\)"),
        (torch.zeros(1, 6), r"\(1, 6\), not \(2, 6\)"),
        (torch.full((2, 6), torch.nan), "not finite"),
        ("nothing", "str"),
        (None, "NoneType"),
    ],
)
def test_rejects_an_invalid_answer(answer: object, words: str) -> None:
    with pytest.raises(OracleError, match=words):
        check_answer(answer, 2, 6)


def test_accepts_numpy_arrays() -> None:
    assert check_answer(np.ones((2, 6)), 2, 6).dtype == torch.float32
