import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from palimpsest.datasets import ImageSet, RowSet, SampleSet
from palimpsest.datasets.samples import check_label_type, check_labels
from palimpsest.errors import DatasetError

LABELS = torch.tensor([2, 0, 1, 1])
ROWS = RowSet("rows", torch.arange(8.0).view(4, 2), LABELS, 3, ("a", "b"))
IMAGES = ImageSet("images", torch.rand(4, 1, 3, 3), LABELS, 3)


@pytest.mark.parametrize("samples", [ROWS, IMAGES], ids=["rows", "images"])
@given(indices=st.lists(st.integers(0, 3), max_size=8))
def test_subset_keeps_the_given_order(samples: SampleSet, indices: list[int]) -> None:
    subset = samples.subset(torch.tensor(indices, dtype=torch.int64))
    assert type(subset) is type(samples)
    assert len(subset) == len(indices)
    assert torch.equal(subset.inputs, samples.inputs[indices])
    assert subset.labels.tolist() == [LABELS[index].item() for index in indices]
    assert (subset.shape, subset.classes) == (samples.shape, samples.classes)


def test_subset_is_a_copy() -> None:
    ROWS.subset(torch.arange(4)).inputs.zero_()
    assert ROWS.rows.sum() == 28


@pytest.mark.parametrize("row", [-1, 4])
def test_subset_rejects_a_missing_row(row: int) -> None:
    with pytest.raises(DatasetError, match=rf"rows has no row {row}\. Its rows are 0 to 3"):
        ROWS.subset(torch.tensor([0, row, 1]))


def test_fingerprint_depends_on_everything_but_the_name() -> None:
    columns = ("a", "b")
    same = RowSet("another name", ROWS.rows.clone(), LABELS.clone(), 3, columns)
    assert same.fingerprint == ROWS.fingerprint
    others = [
        RowSet("rows", ROWS.rows + 1, LABELS, 3, columns),
        RowSet("rows", ROWS.rows, LABELS.flip(0), 3, columns),
        RowSet("rows", ROWS.rows, LABELS, 4, columns),
    ]
    assert len({ROWS.fingerprint, *(other.fingerprint for other in others)}) == 4


@given(st.lists(st.integers(-2, 5), max_size=6), st.integers(1, 4))
def test_names_the_first_label_out_of_range(labels: list[int], classes: int) -> None:
    wrong = [row for row, label in enumerate(labels) if not 0 <= label < classes]
    tensor = torch.tensor(labels, dtype=torch.int64)
    if not wrong:
        check_labels(tensor, classes, "x")
        return
    with pytest.raises(DatasetError, match=f"Row {wrong[0]} of x has label {labels[wrong[0]]}, outside 0"):
        check_labels(tensor, classes, "x")


@pytest.mark.parametrize("labels", [LABELS.float(), LABELS[:3], LABELS.view(4, 1)])
def test_rejects_labels_of_another_type_or_shape(labels: torch.Tensor) -> None:
    check_label_type(LABELS, 4, "x")
    with pytest.raises(DatasetError, match=r"Pass int64 of shape \[4\], one for each sample"):
        check_label_type(labels, 4, "x")
