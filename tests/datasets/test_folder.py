import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.support.image_formats import IMAGE_FORMATS
from tests.support.warnings import Warnings

from palimpsest.datasets.folder import SUFFIXES, ImageFolder
from palimpsest.datasets.reading import Decoding
from palimpsest.datasets.split import split_rows
from palimpsest.errors import DatasetError
from palimpsest.progress import with_callbacks
from palimpsest.system.torchvision_compat import import_torchvision


def test_numbers_classes_by_name_and_splits(tmp_path, pictures, write_folder):
    drawn = {"zebra": pictures(10, seed=1), "ant": pictures(15, seed=2)}
    source = ImageFolder(write_folder(tmp_path / "zoo", drawn))
    everything = torch.stack([torch.from_numpy(pixels) for pixels in drawn["ant"] + drawn["zebra"]])
    labels = torch.tensor([0] * 15 + [1] * 10)
    for split, rows in zip(("train", "test"), split_rows(labels), strict=True):
        part = source.read(split)
        assert (part.name, part.classes, len(part)) == ("zoo", 2, source.count(split))
        assert torch.equal(part.labels, labels[rows])
        assert torch.equal(part.images, everything[rows].permute(0, 3, 1, 2).float() / 255)
        chosen = torch.tensor([0, 2])
        assert torch.equal(source.read(split, rows=chosen).images, part.images[chosen])
        assert torch.equal(source.read(split, rows=chosen).labels, part.labels[chosen])


def test_uses_train_and_test_folders(tmp_path, pictures, write_folder):
    write_folder(tmp_path / "train", {"a": pictures(3), "c": pictures(2)})
    write_folder(tmp_path / "test", {"b": pictures(1), "c": pictures(4)})
    source = ImageFolder(tmp_path)
    assert source.read("train").labels.tolist() == [0, 0, 0, 2, 2]
    assert source.read("test").labels.tolist() == [1, 2, 2, 2, 2]
    assert source.read("test").classes == 3


def test_ignores_files_that_are_not_images(tmp_path, pictures, write_folder):
    write_folder(tmp_path, {"a": pictures(5), "b": pictures(5)})
    (tmp_path / "a" / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "a" / ".hidden.png").write_bytes(b"x")
    (tmp_path / ".git").mkdir()
    (tmp_path / "README.md").write_text("x")
    assert ImageFolder(tmp_path).count("train") + ImageFolder(tmp_path).count("test") == 10


def test_order_is_independent_of_the_file_system(tmp_path, pictures, write_folder):
    drawn = {"a": pictures(8, seed=1), "b": pictures(8, seed=2)}
    first = write_folder(tmp_path / "first", drawn)
    second = tmp_path / "second"
    for name in ("b", "a"):
        (second / name).mkdir(parents=True)
        for file in sorted((first / name).iterdir(), reverse=True):
            (second / name / file.name).write_bytes(file.read_bytes())
    for split in ("train", "test"):
        assert ImageFolder(first).read(split).fingerprint == ImageFolder(second).read(split).fingerprint


def test_names_a_truncated_file(tmp_path, pictures, write_folder):
    write_folder(tmp_path, {"a": pictures(2, side=32), "b": pictures(2, side=32)})
    for file in (tmp_path / "b").iterdir():
        file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(DatasetError, match=r"b/00\d.png can't be read as an image"):
        ImageFolder(tmp_path).read("train")


def test_names_a_file_of_another_size(tmp_path, pictures, write_folder):
    write_folder(tmp_path, {"a": pictures(2), "b": pictures(2)})
    for file in (tmp_path / "b").iterdir():
        Image.new("RGB", (9, 4)).save(file)
    with pytest.raises(DatasetError, match=r"b/00\d.png has 9 x 4 pixels, but .*a/00\d.png has 6 x 6"):
        ImageFolder(tmp_path).read("train")
    assert ImageFolder(tmp_path).read("train", size=(5, 5)).shape == (3, 5, 5)


def test_rejects_a_folder_without_class_folders(tmp_path):
    with pytest.raises(DatasetError, match="has no class folders"):
        ImageFolder(tmp_path).count("train")


def test_a_class_without_images_keeps_its_number(tmp_path, pictures, write_folder, caplog):
    write_folder(tmp_path, {"a": pictures(2), "b": [], "c": pictures(1)})
    images = ImageFolder(tmp_path).read_all()
    assert (images.labels.tolist(), images.classes) == ([0, 0, 2], 3)
    assert "1 class folders without images, which keep their numbers: b" in caplog.text


def test_rejects_class_folders_without_any_image(tmp_path, write_folder):
    write_folder(tmp_path, {"a": [], "b": []})
    with pytest.raises(DatasetError, match="hold no images"):
        ImageFolder(tmp_path).count("train")


def test_rejects_a_split_without_images(tmp_path, pictures, write_folder):
    write_folder(tmp_path / "train", {"a": pictures(2)})
    (tmp_path / "test").mkdir()
    with pytest.raises(DatasetError, match="no test images"):
        ImageFolder(tmp_path).read("test")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_names_an_unreadable_folder(tmp_path, pictures, write_folder):
    write_folder(tmp_path, {"a": pictures(2)})
    (tmp_path / "a").chmod(0)
    with pytest.raises(DatasetError, match="a can't be read"):
        ImageFolder(tmp_path).count("train")
    (tmp_path / "a").chmod(0o700)


def test_read_all_keeps_the_order_of_the_files(tmp_path, pictures, write_folder):
    drawn = {"b": pictures(6, seed=1), "a": pictures(4, seed=2)}
    everything = ImageFolder(write_folder(tmp_path / "zoo", drawn)).read_all()
    pixels = torch.stack([torch.from_numpy(image) for image in drawn["a"] + drawn["b"]])
    assert everything.labels.tolist() == [0] * 4 + [1] * 6
    assert torch.equal(everything.images, pixels.permute(0, 3, 1, 2).float() / 255)


def test_read_all_starts_with_the_training_folder(tmp_path, pictures, write_folder):
    write_folder(tmp_path / "train", {"a": pictures(3), "c": pictures(2)})
    write_folder(tmp_path / "test", {"b": pictures(1), "c": pictures(4)})
    assert ImageFolder(tmp_path).read_all().labels.tolist() == [0, 0, 0, 2, 2, 1, 2, 2, 2, 2]


def test_given_names_number_the_classes(tmp_path, pictures, write_folder):
    folder = write_folder(tmp_path / "zoo", {"cat": pictures(2)})
    source = ImageFolder(folder, names=("ape", "bee", "cat"))
    assert source.read_all().labels.tolist() == [2, 2]
    assert source.read_all().classes == 3
    assert source.class_names == ("ape", "bee", "cat")
    with pytest.raises(DatasetError, match="'cat', which is not one of ape"):
        ImageFolder(folder, names=("ape",)).read_all()


def test_walks_folders_in_the_order_of_torchvision_and_names_skipped_files(tmp_path):
    (tmp_path / "set" / "cat" / "site 2").mkdir(parents=True)
    (tmp_path / "set" / "dog").mkdir()
    for number, name in enumerate(("cat/0.png", "cat/1.png", "dog/0.png", "dog/1.png")):
        Image.new("L", (8, 8), 100 + number).save(tmp_path / "set" / name)
    for number, name in enumerate(("site 2/x.jfif", "site 2/a.PNG", "z.jpe")):
        form = "PNG" if name.endswith("PNG") else "JPEG"
        Image.new("L", (8, 8), 50 * number).save(tmp_path / "set" / "cat" / name, form)
    (tmp_path / "set" / "cat" / "notes.txt").touch()
    (tmp_path / "set" / "dog" / ".hidden.png").touch()
    warnings = Warnings()
    with with_callbacks(warnings):
        images = ImageFolder(tmp_path / "set").read_all()
    torchvision = import_torchvision()
    reference = torchvision.datasets.ImageFolder(
        str(tmp_path / "set"),
        is_valid_file=lambda path: Path(path).suffix.lower() in SUFFIXES and "/." not in path,
    )
    assert len(images) == len(reference) == 7
    expected = [torchvision.transforms.functional.to_tensor(image.convert("L")) for image, _ in reference]
    assert torch.equal(images.images, torch.stack(expected))
    assert images.labels.tolist() == [label for _, label in reference]
    assert len(warnings.messages) == 1
    assert "2 files or folders were skipped" in warnings.messages[0]
    assert (
        "1 hidden, such as dog/.hidden.png; 1 without an image's suffix, such as cat/notes.txt"
        in warnings.messages[0]
    )


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux")
def test_class_names_that_are_not_utf8_are_escaped_and_still_found(tmp_path):
    for name in (b"H\xe4nde", b"F\xfc\xdfe"):
        folder = tmp_path / "set" / os.fsdecode(name)
        folder.mkdir(parents=True)
        Image.new("L", (8, 8)).save(folder / "0.png")
    source = ImageFolder(tmp_path / "set")
    assert source.class_names == ("F\\xfc\\xdfe", "H\\xe4nde")
    turned = ImageFolder(tmp_path / "set", names=(*reversed(source.class_names), "other"))
    assert turned.read_all().labels.tolist() == [0, 1]


def test_rejects_a_class_folder_that_is_a_link(tmp_path):
    # Followed, a link such as ".." would make a class of everything beside the folder.
    (tmp_path / "set" / "cat").mkdir(parents=True)
    Image.new("L", (8, 8)).save(tmp_path / "set" / "cat" / "0.png")
    (tmp_path / "set" / "dog").symlink_to("..")
    with pytest.raises(DatasetError, match="dog is a link to a folder"):
        ImageFolder(tmp_path / "set").read_all()


def test_counts_what_is_skipped_without_naming_it_in_the_record(tmp_path, pictures, write_folder):
    write_folder(tmp_path / "train", {"a": pictures(2), ".git": pictures(1)})
    write_folder(tmp_path / "test", {"a": pictures(1)})
    write_folder(tmp_path / "validation", {"a": pictures(1)})
    write_folder(tmp_path / "train" / "a" / ".ipynb_checkpoints", {"x": pictures(1)})
    for name in ("README.md", "train/labels.txt", "test/a/Thumbs.db", "train/a/._0.png"):
        (tmp_path / name).touch()
    warnings = Warnings()
    with with_callbacks(warnings):
        images = ImageFolder(tmp_path).read_all()
    assert len(images) == 3
    expected = {"hidden": 3, "outside of the class folders": 3, "without an image's suffix": 1}
    assert images.reading is not None
    assert images.reading.skipped == expected
    assert json.loads(images.reading.to_json())["skipped"] == expected
    assert "Thumbs" not in images.reading.to_json()
    assert len(warnings.messages) == 2
    assert "6 files or folders were skipped" in warnings.messages[0]
    assert "3 outside of the class folders, such as README.md" in warnings.messages[0]
    assert "1 without an image's suffix, such as test/a/Thumbs.db" in warnings.messages[1]


def test_every_format_in_a_folder_is_read_as_by_torchvision(tmp_path):
    torchvision = import_torchvision()
    forms = [form for form in IMAGE_FORMATS if form.decoding.white_level in (None, 255)]
    forms = [
        form
        for form in forms
        if not form.refusal and form.decoding.orientation is None and form.values is None
    ]
    for number, form in enumerate(forms):
        folder = tmp_path / f"{number:03}"
        folder.mkdir()
        form.write(folder)
    warnings = Warnings()
    with with_callbacks(warnings):
        images = ImageFolder(tmp_path, decoding=Decoding(255)).read_all(size=(6, 6))
    reference = torchvision.datasets.ImageFolder(str(tmp_path), is_valid_file=lambda path: True)
    expected = [np.asarray(image.resize((6, 6), Image.Resampling.BICUBIC)) for image, _ in reference]
    difference = images.images - torch.from_numpy(np.stack(expected)).movedim(3, 1) / 255
    assert difference.abs().max() == 0
    assert images.reading is not None
    assert sum(images.reading.depths.values()) == len(forms)
    assert images.reading.changes["first frame of several"] == 4
    assert len(warnings.messages) == 5
