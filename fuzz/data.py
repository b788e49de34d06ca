"""Readers of data sets: images, parquet files, folders, tables."""

import os
import shutil
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fuzz.parser import MIB, Parser
from PIL import Image

from palimpsest.artifacts import load_samples
from palimpsest.datasets import load_images
from palimpsest.datasets.decode import decode_images


def _image_seeds(_: Path) -> list[bytes]:
    gray = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    color = Image.merge("RGB", [gray] * 3)
    kinds = [(gray, "PNG"), (color, "PNG"), (color.convert("P"), "PNG"), (color.convert("RGBA"), "PNG")]
    kinds += [
        (gray.convert("1"), "PNG"),
        (Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8)), "PNG"),
    ]
    kinds += [
        (color, "JPEG"),
        (color, "GIF"),
        (gray, "BMP"),
        (color, "TIFF"),
        (color, "WEBP"),
        (gray, "PPM"),
    ]
    return [_encoded(image, kind) for image, kind in kinds]


def _encoded(image: Image.Image, kind: str) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **({"compression": "tiff_lzw"} if kind == "TIFF" else {}))
    return buffer.getvalue()


def _parquet_seeds(folder: Path) -> list[bytes]:
    png = _encoded(Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)), "PNG")
    files = pa.array([{"bytes": png, "path": f"../{row}.png"} for row in range(6)])
    labels = pa.array([0, 1, 2, 0, 1, 2], pa.int64())
    seeds = []
    for compression in ("none", "snappy", "gzip", "zstd"):
        plain = pa.array([png] * 6) if compression == "gzip" else files
        pq.write_table(pa.table({"image": plain, "label": labels}), folder / "f", compression=compression)
        seeds.append((folder / "f").read_bytes())
    return seeds


def _folder_seeds(_: Path) -> list[bytes]:
    """Return bytes that `_make_tree` turns into folders."""
    return [bytes(range(64)), bytes(64), bytes([3, 1, 4, 1, 5, 9, 2, 6] * 8)]


def _read_folder(path: Path) -> None:
    root = path.with_suffix("")
    shutil.rmtree(root, ignore_errors=True)
    _make_tree(root, path.read_bytes())
    load_images(str(root), "train")


def _make_tree(root: Path, content: bytes) -> None:
    """Make a folder of class folders with hostile names, links and special files, as the bytes say."""
    png = _encoded(Image.fromarray(np.zeros((8, 8), dtype=np.uint8)), "PNG")
    names = ["a", "b", "train", "test", "ü\u202e", "x" * 200, "\udcff", "..a", " ", "a\nb", "\x1b[2J", "-rf"]
    root.mkdir()
    for index in range(0, min(len(content) - 3, 200), 4):
        kind, place, name, variant = content[index : index + 4]
        parent = root / names[place % len(names)]
        if place % 5 == 0 and variant % 2:
            parent = parent / names[name % len(names)]
        file = parent / f"{names[name % len(names)]}-{index}.png"
        try:
            parent.mkdir(parents=True, exist_ok=True)
            match kind % 9:
                case 0 | 1 | 2 | 3:
                    file.write_bytes(png)
                case 4:
                    file.symlink_to(
                        ("/etc/passwd", "/dev/zero", "..", file.name, "/proc/self/mem")[variant % 5]
                    )
                case 5:
                    os.mkfifo(file)
                case 6:
                    file.mkdir()
                case 7:
                    file.write_bytes(content)
                case _:
                    parent.with_name(f"link-{index}").symlink_to(("/", "/tmp", root, "nowhere")[variant % 4])
        except (FileExistsError, NotADirectoryError):
            continue


def _table_seeds(_: Path) -> list[bytes]:
    lines = [f"{row}.png,{row % 2}" for row in range(6)]
    return [
        ("\n".join(["file_name,label", *lines]) + "\n").encode(),
        b'\xef\xbb\xbflabel,file_name\r\n"0","0.png"\r\n',
    ]


def _read_table(path: Path) -> None:
    for row in range(6):
        if not (file := path.with_name(f"{row}.png")).exists():
            Image.fromarray(np.zeros((8, 8), dtype=np.uint8)).save(file)
    load_images(str(path), "train")


def _row_seeds(_: Path) -> list[bytes]:
    """Return tables of rows and of token sequences as text."""
    rows = [f"{row}.5,{row % 2},{-row}e-3,true" for row in range(6)]
    tokens = [f"{row} {row + 1} 7,{row % 3}" for row in range(6)]
    return [
        ("\n".join(["age,label,pulse,smokes", *rows]) + "\n").encode(),
        ("\n".join(["tokens,label", *tokens]) + "\n").encode(),
        b'\xef\xbb\xbf"label","a b"\r\n0,1\r\n1,2\r\n',
    ]


def _row_parquet_seeds(folder: Path) -> list[bytes]:
    labels = pa.array([0, 1, 2] * 3, pa.int64())
    numbers = {"a": pa.array([0.5] * 9), "label": labels, "b": pa.array([True, False, None] * 3)}
    seeds = []
    for columns in (numbers, {"tokens": pa.array([[1, 2, 3]] * 9), "label": labels.cast(pa.uint8())}):
        for compression in ("none", "zstd"):
            pq.write_table(pa.table(columns), folder / "f", compression=compression)
            seeds.append((folder / "f").read_bytes())
    return seeds


PARSERS: dict[str, Parser] = {
    "image": Parser(
        _image_seeds,
        lambda path: decode_images([("the image", path.read_bytes())]),
        ".png",
        (b"IHDR", b"PLTE", b"tRNS", b"zTXt", b"iCCP", b"%!PS", b"GIF89a", b"\xff\xd8", b"II*\0", b"RIFF"),
        slack=256 * MIB,
    ),
    "parquet": Parser(
        _parquet_seeds,
        lambda path: load_images(str(path), "train"),
        ".parquet",
        (b"PAR1", b"image", b"label", b"bytes", b"ARROW:schema"),
        slack=256 * MIB,
    ),
    "folder": Parser(_folder_seeds, _read_folder, ".tree"),
    "table": Parser(
        _table_seeds, _read_table, ".csv", (b",", b'"', b"\r", b"../", b"/dev/zero", b"\0", b"99999")
    ),
    "rows": Parser(
        _row_seeds,
        lambda path: load_samples(str(path)),
        ".csv",
        (
            b",",
            b'"',
            b"\r",
            b"\0",
            b"nan",
            b"inf",
            b"1e999",
            b"label",
            b"tokens",
            b"file_name",
            b"99999999999",
        ),
        slack=256 * MIB,
    ),
    "rows in parquet": Parser(
        _row_parquet_seeds,
        lambda path: load_samples(str(path)),
        ".parquet",
        (b"PAR1", b"tokens", b"label", b"ARROW:schema", b"list", b"element"),
        slack=256 * MIB,
    ),
}
