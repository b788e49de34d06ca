from pathlib import Path
from typing import Any

import pytest
import torch
from tests.support.artifacts import Make, load

from palimpsest.artifacts.images import (
    LoadedSamples,
    check_numbering,
    draw,
    in_classes,
    load_for,
    load_samples,
)
from palimpsest.datasets import ImageSet, RowSet
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
    given = load_for(config, folder, names=("class0", "class1", "class2")).samples
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
    with pytest.raises(DatasetError, match="labels up to 9, but the model has 9 classes"):
        in_classes(ten, 9)


@pytest.mark.parametrize(
    ("names", "classes", "named", "fine"),
    [
        (("cat", "dog"), 2, False, True),
        (("cat",), 3, False, False),
        (("cat", "dog", "emu", "fox"), 3, False, False),
        (("cat", "dog", "emu"), 3, True, True),
        ((), 3, False, True),
    ],
)
def test_never_guesses_the_numbers_of_class_folders(
    ten: ImageSet, names: tuple[str, ...], classes: int, named: bool, fine: bool
) -> None:
    loaded = LoadedSamples(ten, names)
    if fine:
        check_numbering(loaded, "forgotten", classes, named=named)
    else:
        with pytest.raises(DatasetError, match=r"forgotten has \d class folders \(cat.* Set class_names"):
            check_numbering(loaded, "forgotten", classes, named=named)
