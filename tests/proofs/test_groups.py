import json

import pytest
import torch

from palimpsest.proofs import Groups, describe_groups, make_groups
from palimpsest.randomness import make_generator

ROWS = torch.tensor([10, 11, 12, 13, 14, 20, 21, 30])
OWNER = torch.tensor([1, 1, 1, 1, 1, 4, 4, 6])


def groups(granularity: str, size: int | None = None) -> Groups:
    made = make_groups(ROWS, OWNER, granularity=granularity, group_size=size, generator=make_generator(1))
    assert torch.equal(made.rows, ROWS)
    return made


@pytest.mark.parametrize(
    ("size", "sizes"),
    [(None, (5, 2, 1)), (1, (1,) * 8), (2, (2, 3, 2, 1)), (3, (5, 2, 1)), (4, (5, 2, 1)), (9, (5, 2, 1))],
)
def test_no_group_is_smaller_than_asked_unless_the_client_forgot_fewer(
    size: int | None, sizes: tuple[int, ...]
) -> None:
    made = groups("client", size)
    assert made.sizes == sizes
    for number in range(len(sizes)):
        assert OWNER[made.members(number)].unique().numel() == 1


def test_samples_and_federation_are_the_extremes() -> None:
    assert groups("sample").sizes == (1,) * 8
    assert groups("federation").sizes == (8,)


def test_the_samples_of_a_client_are_shuffled_and_the_division_is_stored(tmp_path) -> None:
    rows, owner = torch.arange(20), torch.zeros(20, dtype=torch.int64)
    many = make_groups(rows, owner, granularity="client", group_size=5, generator=make_generator(1))
    assert many.members(0).tolist() != [0, 1, 2, 3, 4]
    made = groups("client", 2)
    made.save(tmp_path / "groups.safetensors")
    loaded = Groups.load(tmp_path / "groups.safetensors")
    assert loaded.group.equal(made.group)
    assert loaded.rows.equal(ROWS)


def test_the_metadata_has_the_sizes_and_not_the_members() -> None:
    described = describe_groups(groups("client", 2), "client")
    assert json.loads(described["group_sizes"]) == [2, 3, 2, 1]
    assert described == {"granularity": "client", "group_sizes": "[2, 3, 2, 1]"}
