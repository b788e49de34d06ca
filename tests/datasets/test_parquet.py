import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from palimpsest.datasets.parquet import ParquetFile, count_rows, read_class_names, read_images, read_labels
from palimpsest.datasets.split import split_rows
from palimpsest.errors import DatasetError


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("image", ["image", "img"])
def test_reads_the_schema_of_the_hub_and_plain_bytes(encode, pictures, write_parquet, raw, image):
    images = pictures(9)
    path = write_parquet([encode(pixels) for pixels in images], [0] * 9, raw=raw, image=image)
    expected = torch.stack([torch.from_numpy(pixels) for pixels in images]).permute(0, 3, 1, 2).float() / 255
    assert torch.equal(read_images(path), expected)
    assert count_rows(path) == 9


@pytest.mark.parametrize("label", ["label", "fine_label", "labels"])
def test_reads_labels(encode, pictures, write_parquet, label):
    path = write_parquet([encode(pictures(1)[0])] * 4, [3, 0, 2, 3], label=label)
    assert read_labels(path).tolist() == [3, 0, 2, 3]
    assert read_labels(path).dtype == torch.int64


@pytest.mark.parametrize(
    ("metadata", "names"),
    [
        ({"info": {"features": {"fine_label": {"names": ["ape", "bee"]}}}}, ("ape", "bee")),
        ({"info": {"features": {"label": {"names": ["ape", "bee"]}}}}, ()),
        ({"info": {"features": {"fine_label": {"names": ["ape", 2]}}}}, ()),
        ({"info": {"features": {"fine_label": {"names": "ape"}}}}, ()),
        ({"info": []}, ()),
        (None, ()),
    ],
)
def test_reads_class_names_from_the_metadata_of_the_hub(encode, pictures, write_parquet, metadata, names):
    path = write_parquet([encode(pictures(1)[0])] * 2, [1, 0], label="fine_label")
    stored = {} if metadata is None else {"huggingface": json.dumps(metadata)}
    pq.write_table(pq.read_table(path).replace_schema_metadata(stored), path)
    assert read_class_names(path) == names
    assert ParquetFile(path).class_names == names
    pq.write_table(pq.read_table(path).replace_schema_metadata({"huggingface": b"[\xff" * 9}), path)
    assert read_class_names(path) == ()


def test_reads_labels_of_small_integer_types(encode, pictures, tmp_path):
    path = tmp_path / "small.parquet"
    image = pa.array([encode(pictures(1)[0])] * 2, pa.binary())
    pq.write_table(pa.table({"image": image, "label": pa.array([1, 0], pa.uint8())}), path)
    assert read_labels(path).tolist() == [1, 0]


def test_selects_rows_across_batches_and_row_groups(encode, tmp_path):
    contents = [encode(Image.new("L", (1, 1), row % 256)) for row in range(2500)]
    path = tmp_path / "long.parquet"
    pq.write_table(pa.table({"image": pa.array(contents, pa.binary())}), path, row_group_size=700)
    rows = torch.tensor([0, 699, 700, 1023, 1024, 2047, 2048, 2499])
    assert (read_images(path, rows=rows).flatten() * 255).round().tolist() == [
        row % 256 for row in rows.tolist()
    ]


def test_releases_arrow_memory(encode, pictures, write_parquet):
    path = write_parquet([encode(pixels) for pixels in pictures(50, side=32)], [0] * 50)
    before = pa.total_allocated_bytes()
    results = read_images(path), read_labels(path)
    # Arrow's threads release a few hundred bytes later. A retained column would be nearly the whole file.
    assert pa.total_allocated_bytes() - before < path.stat().st_size / 10
    del results


def test_public_images_need_no_labels(encode, pictures, write_parquet):
    path = write_parquet([encode(pixels) for pixels in pictures(3)], None)
    assert read_labels(path, required=False).tolist() == [0, 0, 0]
    with pytest.raises(DatasetError, match=r"column of integers named label, fine_label or labels"):
        read_labels(path)


def test_splits_a_single_file(encode, pictures, write_parquet):
    labels = [row % 3 for row in range(30)]
    path = write_parquet([encode(pixels) for pixels in pictures(30)], labels)
    source = ParquetFile(path)
    for split, rows in zip(("train", "test"), split_rows(torch.tensor(labels)), strict=True):
        part = source.read(split)
        assert (len(part), part.classes, part.name) == (source.count(split), 3, "images")
        assert torch.equal(part.images, read_images(path)[rows])
        assert torch.equal(part.labels, torch.tensor(labels)[rows])
        chosen = torch.tensor([0, 3])
        assert torch.equal(source.read(split, rows=chosen).images, part.images[chosen])
    assert torch.equal(source.read_all().images, read_images(path))
    assert source.read_all().labels.tolist() == labels


@pytest.mark.parametrize(("row", "label"), [(1, 10), (2, -1)])
def test_names_a_label_out_of_range(encode, pictures, write_parquet, row, label):
    labels = [0, 1, 9]
    labels[row] = label
    path = write_parquet([encode(pictures(1)[0])] * 3, labels)
    with pytest.raises(
        DatasetError,
        match=rf"Row {row} of .*images.parquet has label {label}, outside 0 to 9|label {label} in row {row}",
    ):
        read_labels(path, classes=10)


def test_names_a_missing_label(encode, pictures, write_parquet):
    path = write_parquet([encode(pictures(1)[0])] * 3, [0, None, 1])
    with pytest.raises(DatasetError, match=r"images.parquet has no label in row 1"):
        read_labels(path)


def test_numbers_class_names_only_by_given_names(encode, pictures, write_parquet):
    path = write_parquet([encode(pictures(1)[0])], ["cat"])
    with pytest.raises(DatasetError, match=r"label 'cat' in row 0.* Set --class-names"):
        read_labels(path)
    assert read_labels(path, names=("dog", "cat")).tolist() == [1]
    assert ParquetFile(path, ("dog", "cat")).read_all().labels.tolist() == [1]


def test_names_a_row_of_another_size(encode, pictures, write_parquet):
    images = [encode(pictures(1, side=side)[0]) for side in (6, 6, 7)]
    with pytest.raises(DatasetError, match=r"Row 2 of .* has 7 x 7 pixels, but Row 0 of .* has 6 x 6"):
        read_images(write_parquet(images, [0, 0, 0]))


def test_names_a_truncated_row(encode, pictures, write_parquet):
    whole = encode(pictures(1, side=32)[0])
    path = write_parquet([whole, whole[:100]], [0, 0])
    with pytest.raises(DatasetError, match=r"Row 1 of .* can't be read as an image"):
        read_images(path)


def test_names_a_row_without_bytes(encode, pictures, write_parquet):
    path = write_parquet([encode(pictures(1)[0]), None], [0, 0])
    with pytest.raises(DatasetError, match=r"Row 1 of .* has no image bytes"):
        read_images(path)


def test_rejects_a_file_without_an_image_column(encode, pictures, write_parquet):
    path = write_parquet([encode(pictures(1)[0])], [0], image="picture")
    with pytest.raises(DatasetError, match=r"columns picture .*needs one named image or img"):
        read_images(path)


def test_rejects_an_empty_file(write_parquet):
    with pytest.raises(DatasetError, match=r"holds no images"):
        read_labels(write_parquet([], []))


def test_rejects_a_truncated_file(encode, pictures, write_parquet):
    path = write_parquet([encode(pictures(1)[0])] * 20, [0] * 20)
    path.write_bytes(path.read_bytes()[:-50])
    for read in (read_labels, read_images, count_rows):
        with pytest.raises(DatasetError, match=r"can't be read as a parquet file"):
            read(path)


def test_rejects_damaged_pages(encode, pictures, write_parquet):
    path = write_parquet([encode(pictures(1, side=32)[0])] * 20, [0] * 20)
    content = bytearray(path.read_bytes())
    content[4:60] = bytes(56)
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"can't be read"):
        read_images(path)


def test_names_a_missing_file(tmp_path):
    with pytest.raises(DatasetError, match=r"There is no file .*absent.parquet"):
        count_rows(tmp_path / "absent.parquet")
