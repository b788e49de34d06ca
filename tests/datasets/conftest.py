import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

Encode = Callable[..., bytes]
WriteParquet = Callable[..., Path]


@pytest.fixture
def encode() -> Encode:
    """Function that encodes an array of pixels or a Pillow image without loss."""

    def encode_image(pixels: Any, kind: str = "PNG") -> bytes:
        image = (
            pixels if isinstance(pixels, Image.Image) else Image.fromarray(np.asarray(pixels, dtype=np.uint8))
        )
        file = io.BytesIO()
        image.save(file, kind)
        return file.getvalue()

    return encode_image


@pytest.fixture
def pictures() -> Callable[..., list[np.ndarray]]:
    """Function that draws random 8-bit pictures, gray or in color."""

    def draw_pictures(count: int, *, side: int = 6, channels: int = 3, seed: int = 0) -> list[np.ndarray]:
        shape = (count, side, side) if channels == 1 else (count, side, side, channels)
        return list(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))

    return draw_pictures


@pytest.fixture
def write_parquet(tmp_path: Path) -> WriteParquet:
    """Function that writes encoded images, and labels if any, in the schema of the hub."""

    def write(
        contents: Sequence[bytes | None],
        labels: Sequence[Any] | None,
        *,
        path: Path = tmp_path / "images.parquet",
        image: str = "image",
        label: str = "label",
        raw: bool = False,
    ) -> Path:
        columns: dict[str, Any] = {}
        if raw:
            columns[image] = pa.array(contents, pa.binary())
        else:
            kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
            columns[image] = pa.array([{"bytes": content, "path": None} for content in contents], kind)
        if labels is not None:
            columns[label] = labels
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), path)
        return path

    return write


@pytest.fixture
def write_folder() -> Callable[..., Path]:
    """Function that writes pictures into class folders, numbered in each."""

    def write(folder: Path, classes: dict[str, list[np.ndarray]]) -> Path:
        for name, images in classes.items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            for number, pixels in enumerate(images):
                Image.fromarray(pixels).save(folder / name / f"{number:03}.png")
        return folder

    return write


@pytest.fixture
def mirror(tmp_path: Path, encode: Encode, write_parquet: WriteParquet, pictures: Any) -> Path:
    """Tiny mirror: 30 + 20 images of cifar10, 40 + 20 of mnist, 12 + 8 + 5 of lfw."""
    folder = tmp_path / "mirror"
    for repository, image, side, channels, splits in (
        ("uoft-cs/cifar10", "img", 8, 3, {"train": 30, "test": 20}),
        ("ylecun/mnist", "image", 7, 1, {"train": 40, "test": 20}),
        ("lfw", "image", 10, 3, {"train": 12, "test": 8}),
    ):
        for seed, (split, count) in enumerate(splits.items()):
            images = pictures(count, side=side, channels=channels, seed=seed + side)
            write_parquet(
                [encode(pixels) for pixels in images],
                [row % 4 for row in range(count)],
                path=folder / repository / f"{split}.parquet",
                image=image,
            )
    public = pictures(5, side=10, seed=99)
    write_parquet([encode(pixels) for pixels in public], None, path=folder / "lfw" / "public.parquet")
    return folder


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail a test that opens a connection or resolves a host name."""

    def fail(*arguments: object, **settings: object) -> None:
        raise AssertionError(f"the network was used: {arguments}")

    monkeypatch.setattr("socket.socket.connect", fail)
    monkeypatch.setattr("socket.getaddrinfo", fail)


@pytest.fixture(scope="session")
def real_mirror() -> Path:
    """Mirror of the real data sets on this machine."""
    folder = os.environ.get("PALIMPSEST_DATA_DIR")
    if not folder:
        pytest.skip("PALIMPSEST_DATA_DIR is not set, so there is no mirror of real data sets")
    return Path(folder)
