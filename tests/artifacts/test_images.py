from pathlib import Path
from typing import Any

import pytest
import torch
from tests.support.artifacts import Make, load

from palimpsest.artifacts.images import (
    FOLDERS,
    LoadedSamples,
    draw,
    in_classes,
    load_for,
    load_samples,
    numbered,
)
from palimpsest.datasets import ImageSet, RowSet
from palimpsest.datasets.numbering import Numbering
from palimpsest.errors import DatasetError


@pytest.mark.parametrize(
    ("keys", "words"), [({"auxiliary": "nowhere/"}, "nowhere"), ({"auxiliary_split": "tset"}, "tset")]
)
def test_rejects_unknown_folders_and_splits(case: Make, here: Path, keys: dict[str, Any], words: str) -> None:
    with pytest.raises(DatasetError, match=words):
        load(case(**keys), here)


def test_converts_images_to_the_requested_size_and_channels(pieces: Path) -> None:
    plain = load_samples(str(pieces / "forgotten"))
    assert plain.samples.shape == (1, 8, 8)
    assert plain.names == ("class0", "class1", "class2")
    assert load_samples(str(pieces / "forgotten"), image_size=16, channels=3).samples.shape == (3, 16, 16)


def test_numbers_classes_by_configuration_or_argument(case: Make, pieces: Path) -> None:
    config, folder = case(class_names=["class2", "class0", "class1"]), str(pieces / "forgotten")
    configured = load_for(config, folder).samples
    given = load_for(config, folder, numbering=Numbering(("class0", "class1", "class2"), "test")).samples
    assert torch.equal(configured.inputs[configured.labels == 0], given.inputs[given.labels == 2])


def test_reads_tables_only_without_split_size_and_channels(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("age,height,label\n30,1.8,0\n40,1.7,1\n")
    rows = load_samples(str(path)).samples
    assert isinstance(rows, RowSet)
    assert rows.columns == ("age", "height")
    for keys in ({"split": "test"}, {"image_size": 16}, {"channels": 3}):
        with pytest.raises(DatasetError, match="no split, image_size or channels"):
            load_samples(str(path), **keys)  # type: ignore[arg-type]


@pytest.fixture
def ten() -> ImageSet:
    return ImageSet("ten", torch.rand(10, 1, 2, 2), torch.arange(10), 10)


def test_draw_keeps_the_order_and_depends_on_the_seed(ten: ImageSet) -> None:
    drawn = draw(ten, 4, seed=1)
    assert drawn.labels.tolist() == sorted(set(drawn.labels.tolist()))
    assert len(drawn) == 4
    assert torch.equal(draw(ten, 4, seed=1).labels, drawn.labels)
    assert not torch.equal(draw(ten, 4, seed=2).labels, drawn.labels)
    assert draw(ten, None, seed=1) is draw(ten, 10, seed=1) is ten


def test_rejects_labels_beyond_the_models_classes(ten: ImageSet) -> None:
    assert in_classes(ten, 12).classes == 12
    with pytest.raises(DatasetError, match=r"labels from 0 to 9, but the model has 9 classes.* from 0 to 8"):
        in_classes(ten, 9)


def test_recognizes_labels_that_begin_at_1_and_those_of_a_single_logit(ten: ImageSet) -> None:
    with pytest.raises(DatasetError, match=r"from 1 to 9, but the model has 9 classes.*subtract 1"):
        in_classes(ten.subset(torch.arange(1, 10)), 9)
    with pytest.raises(DatasetError, match=r"2 classes, or a single logit.*subtract 1"):
        in_classes(ten.subset(torch.tensor([1, 2])), 2)
    with pytest.raises(DatasetError, match=r"2 classes, or a single logit.*from 0 to 1"):
        in_classes(ten.subset(torch.tensor([0, 7])), 2)


def test_accepts_gaps_between_labels(ten: ImageSet) -> None:
    assert in_classes(ten.subset(torch.tensor([1, 4, 9])), 12).labels.tolist() == [1, 4, 9]


@pytest.mark.parametrize(
    ("names", "origin", "classes", "words"),
    [
        (("cat", "dog"), FOLDERS, 2, None),
        ((), FOLDERS, 3, None),
        (("cat",), FOLDERS, 3, r"forgotten has 1 class folders \(cat\)"),
        (("cat", "dog", "emu", "fox"), FOLDERS, 3, r"forgotten has 4 class folders \(cat, dog, emu, fox\)"),
        (("cat", "dog", "emu"), "class_names", 3, None),
        (("cat", "dog"), "class_names", 3, r"forgotten: class_names has 2 classes \(cat, dog\)"),
    ],
)
def test_never_guesses_the_numbers_of_classes(
    ten: ImageSet, names: tuple[str, ...], origin: str, classes: int, words: str | None
) -> None:
    first = ten.subset(torch.arange(2))
    loaded = LoadedSamples(first, Numbering(names, origin) if names else None)
    if words is None:
        assert numbered(loaded, "forgotten", classes).samples.classes == classes
    else:
        with pytest.raises(DatasetError, match=rf"{words}, but the model has 3 classes.* Set --class-names"):
            numbered(loaded, "forgotten", classes)
