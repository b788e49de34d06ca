from collections import namedtuple
from pathlib import Path

import pytest
import torch

from palimpsest.errors import ResourceError
from palimpsest.gradients import collect, gather


@pytest.mark.parametrize("budget", [10**6, 100])
def test_collects_chunks_in_memory_or_on_disk(budget: int, tmp_path: Path) -> None:
    rows = torch.randn(10, 7, generator=torch.Generator().manual_seed(0))
    matrix = collect(iter(rows.split(3)), 10, 7, memory_budget=budget, folder=tmp_path)
    assert torch.equal(matrix, rows)
    assert list(tmp_path.iterdir()) == []


def test_rejects_a_disk_that_is_too_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", ["total", "used", "free"])
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(100, 90, 10))
    with pytest.raises(ResourceError, match="10 free"):
        collect(iter(()), 10, 7, memory_budget=1, folder=tmp_path)


@pytest.mark.parametrize("rows", [1, 3, 4, 100])
def test_larger_chunks_contain_the_same_rows(rows: int) -> None:
    whole = torch.arange(22.0).view(11, 2)
    chunks = list(gather(whole.split(2), rows=rows))
    assert torch.equal(torch.cat(chunks), whole)
    assert all(len(chunk) >= rows for chunk in chunks[:-1])
    assert list(gather([], rows=rows)) == []
