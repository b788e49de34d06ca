"""Every reader of files that others wrote, with valid files to damage: by name, in `PARSERS`."""

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors.torch
import torch
from PIL import Image
from rich.console import Console

from palimpsest.config import PRESETS as PRESET_FOLDER
from palimpsest.config import AuditConfig, preset_names, read_config
from palimpsest.datasets import ImageSet, load_images
from palimpsest.datasets.decode import decode_images
from palimpsest.errors import OracleError
from palimpsest.federation import Round, Training
from palimpsest.gradients import Endpoint, PrecomputedOracle, RemoteOracle
from palimpsest.gradients.remote import PROTOCOL, Description
from palimpsest.manifest import MANIFEST
from palimpsest.models.checkpoint import read_state_dict
from palimpsest.proofs import Proofs, load_proofs, save_proofs
from palimpsest.records import read_tensors, tensor_hash
from palimpsest.runs import Run

_MIB = 2**20


@dataclass(frozen=True)
class Parser:
    """A reader of one kind of file.

    Args:
        seeds: Makes valid files of that kind, in an empty folder.
        read: Reads the file at a path, as the program does; it may raise nothing but a `PalimpsestError`.
        suffix: How such a file's name ends.
        tokens: Words that its format knows.
        slack: Bytes that a reader may take besides four times the file, such as an image's pixels.
    """

    seeds: Callable[[Path], list[bytes]]
    read: Callable[[Path], object]
    suffix: str
    tokens: tuple[bytes, ...] = ()
    slack: int = 64 * _MIB


def _proof_seeds(folder: Path) -> list[bytes]:
    vectors = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    claims = {"original": "ab", "unlearned": "cd", "loss": "cross_entropy", "defenses": "[]"}
    save_proofs(folder / "attested", Proofs(vectors, claims))
    save_proofs(folder / "plain", Proofs(vectors * 1e-40))  # denormal numbers
    return [(folder / name).read_bytes() for name in ("attested", "plain")]


def _read_proof(path: Path) -> None:
    vectors = load_proofs(path).vectors
    assert vectors.dtype == torch.float32
    assert vectors.isfinite().all()


def _checkpoint_seeds(folder: Path) -> list[bytes]:
    weights = {"a.weight": torch.randn(2, 3), "b.steps": torch.tensor(7), "c.half": torch.ones(4).half()}
    rounds = [Round((0, 2), (0,), {2: "not finite"}, 1, 0.5), Round((1,), (), {}, 2, None)]
    Training(weights, [1, 0, 0], rounds, []).save(folder / "record")
    return [(folder / "record").read_bytes()]


def _read_checkpoint(path: Path) -> None:
    tensors, _ = read_tensors(path)
    tensor_hash(*tensors.values())
    Training.load(path)


def _image_seeds(_: Path) -> list[bytes]:
    grey = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    colour = Image.merge("RGB", [grey] * 3)
    kinds = [(grey, "PNG"), (colour, "PNG"), (colour.convert("P"), "PNG"), (colour.convert("RGBA"), "PNG")]
    kinds += [
        (grey.convert("1"), "PNG"),
        (Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8)), "PNG"),
    ]
    kinds += [
        (colour, "JPEG"),
        (colour, "GIF"),
        (grey, "BMP"),
        (colour, "TIFF"),
        (colour, "WEBP"),
        (grey, "PPM"),
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
    written = []
    for compression in ("none", "snappy", "gzip", "zstd"):
        plain = pa.array([png] * 6) if compression == "gzip" else files
        pq.write_table(pa.table({"image": plain, "label": labels}), folder / "f", compression=compression)
        written.append((folder / "f").read_bytes())
    return written


def _folder_seeds(_: Path) -> list[bytes]:
    """Bytes from which a tree is grown: see `_grow`."""
    return [bytes(range(64)), bytes(64), bytes([3, 1, 4, 1, 5, 9, 2, 6] * 8)]


def _read_folder(path: Path) -> None:
    root = path.with_suffix("")
    shutil.rmtree(root, ignore_errors=True)
    _grow(root, path.read_bytes())
    load_images(str(root), "train")


def _grow(root: Path, content: bytes) -> None:
    """A folder of class folders, with whatever a stranger could put there."""
    png = _encoded(Image.fromarray(np.zeros((8, 8), dtype=np.uint8)), "PNG")
    names = ["a", "b", "train", "test", "ü\u202e", "x" * 200, "\udcff", "..a", " ", "a\nb", "\x1b[2J", "-rf"]
    root.mkdir()
    for index in range(0, min(len(content) - 3, 200), 4):
        kind, where, name, more = content[index : index + 4]
        parent = root / names[where % len(names)]
        if where % 5 == 0 and more % 2:
            parent = parent / names[name % len(names)]
        file = parent / f"{names[name % len(names)]}-{index}.png"
        try:
            parent.mkdir(parents=True, exist_ok=True)
            match kind % 9:
                case 0 | 1 | 2 | 3:
                    file.write_bytes(png)
                case 4:
                    file.symlink_to(("/etc/passwd", "/dev/zero", "..", file.name, "/proc/self/mem")[more % 5])
                case 5:
                    os.mkfifo(file)
                case 6:
                    file.mkdir()
                case 7:
                    file.write_bytes(content)
                case _:
                    parent.with_name(f"link-{index}").symlink_to(("/", "/tmp", root, "nowhere")[more % 4])
        except (FileExistsError, NotADirectoryError):
            continue


def _configuration_seeds(_: Path) -> list[bytes]:
    chosen = preset_names()[::6]
    return [(PRESET_FOLDER / f"{name}.yaml").read_bytes() for name in chosen] + [
        AuditConfig().to_yaml().encode()
    ]


def _manifest_seeds(folder: Path) -> list[bytes]:
    _run(folder / "run")
    return [(folder / "run" / MANIFEST).read_bytes()]


def _run(folder: Path) -> None:
    with Run.open(folder, AuditConfig(), console=Console(quiet=True)) as run:
        run.stage("proofs", Proofs, lambda _: Proofs(torch.ones(2, 2)), key=(1,))
        run.seconds()


def _read_run(path: Path) -> None:
    """Go on in a run folder whose manifest is the file."""
    folder = path.with_suffix("")
    if not (folder / "proofs.safetensors").exists():
        _run(folder)
    content = path.read_bytes()
    (folder / MANIFEST).write_bytes(content)
    try:
        _run(folder)
    finally:
        # What was refused was left as it was.
        if (folder / MANIFEST).read_bytes() != content:
            json.loads((folder / MANIFEST).read_bytes())


def _torch_seeds(folder: Path) -> list[bytes]:
    """Whole archives, and the descriptions alone, which the archive's checksums keep most damage away from."""
    weights = {"a.weight": torch.randn(2, 3), "b.steps": torch.tensor(7), "c.half": torch.ones(4).half()}
    torch.save(weights, folder / "zip")
    torch.save({"state_dict": weights, "epoch": 3}, folder / "nested")
    archives = [folder / "zip", folder / "nested"]
    return [path.read_bytes() for path in archives] + [_described(path) for path in archives]


def _described(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return next(archive.read(name) for name in archive.namelist() if name.endswith("/data.pkl"))


def _read_torch(path: Path) -> None:
    """Take the file for an archive, or for a description, which is put into one with the checksum that it has now."""
    if path.read_bytes()[:1] != b"\x80":
        read_state_dict(path)
        return
    archive = path.with_suffix(".archive")
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a/data.pkl", path.read_bytes())
        file.writestr("a/version", b"3\n")
        file.writestr("a/byteorder", b"little")
        for index in range(3):
            file.writestr(f"a/data/{index}", bytes(24))
    read_state_dict(archive)


def _precomputed_seeds(_: Path) -> list[bytes]:
    vectors, other = torch.arange(24.0).view(4, 6), torch.ones(4, 6, dtype=torch.float64)
    stored = (
        {"vectors": vectors},
        {"original": vectors, "unlearned": vectors.half().float()},
        {"vectors": other},
    )
    return [safetensors.torch.save(one) for one in stored]


def _read_precomputed(path: Path) -> None:
    asked = ImageSet("asked", torch.arange(16.0).view(4, 1, 2, 2) / 16, torch.zeros(4, dtype=torch.int64), 1)
    answers = list(PrecomputedOracle(path, asked).differences(asked.images, asked.labels))
    assert torch.cat(answers).isfinite().all()


_DESCRIPTION = Description(
    protocol=PROTOCOL, dimension=6, shape=(1, 2, 2), classes=2, models="ab", largest_batch=8
)


def _answer_seeds(_: Path) -> list[bytes]:
    """What an endpoint says of itself, and what it answers."""
    return [
        safetensors.torch.save({"vectors": torch.arange(24.0).view(4, 6)}),
        _DESCRIPTION.model_dump_json().encode(),
    ]


def _read_answer(path: Path) -> None:
    """Take the file for whatever an endpoint sends, first as its description, then as its answer."""
    endpoint = Endpoint("http://127.0.0.1:9", "token")
    content = path.read_bytes()
    with patch("palimpsest.gradients.remote._send", lambda *_: content):
        with suppress(OracleError):
            RemoteOracle.connect(endpoint)
        answer = RemoteOracle(endpoint, _DESCRIPTION)(
            torch.rand(4, 1, 2, 2), torch.zeros(4, dtype=torch.int64)
        )
    assert answer.shape == (4, 6)
    assert answer.isfinite().all()


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


PARSERS: dict[str, Parser] = {
    "proof": Parser(
        _proof_seeds, _read_proof, ".safetensors", (b'"vectors"', b'"__metadata__"', b"[", b"{", b"F64")
    ),
    "checkpoint": Parser(
        _checkpoint_seeds,
        _read_checkpoint,
        ".safetensors",
        (b'"BF16"', b'"F8_E4M3"', b'"BOOL"', b'"C64"', b'"shape":[', b'"rounds"', b"[[[[", b"null"),
    ),
    "image": Parser(
        _image_seeds,
        lambda path: decode_images([("the image", path.read_bytes())]),
        ".png",
        (b"IHDR", b"PLTE", b"tRNS", b"zTXt", b"iCCP", b"%!PS", b"GIF89a", b"\xff\xd8", b"II*\0", b"RIFF"),
        slack=256 * _MIB,
    ),
    "parquet": Parser(
        _parquet_seeds,
        lambda path: load_images(str(path), "train"),
        ".parquet",
        (b"PAR1", b"image", b"label", b"bytes", b"ARROW:schema"),
        slack=256 * _MIB,
    ),
    "folder": Parser(_folder_seeds, _read_folder, ".tree"),
    "configuration": Parser(
        _configuration_seeds,
        read_config,
        ".yaml",
        (
            b"&a ",
            b"*a",
            b"!!binary ",
            b"!!python/name:os.system ",
            b"<<: ",
            b"? ",
            b"[",
            b"{",
            b"- ",
            b"\n---\n",
            b"!!int ",
        ),
    ),
    "run": Parser(
        _manifest_seeds,
        _read_run,
        ".json",
        (b'"stages"', b'"key"', b"null", b"[", b"{", b'"../../x"', b'"format": 2,', b"true"),
    ),
    "torch checkpoint": Parser(
        _torch_seeds,
        _read_torch,
        ".pt",
        (b"cos\nabort\n(tR.", b"PK\x03\x04", b"\x80\x02"),
    ),
    "precomputed answers": Parser(
        _precomputed_seeds, _read_precomputed, ".safetensors", (b'"F64"', b'"I64"', b"[")
    ),
    "endpoint's answer": Parser(
        _answer_seeds, _read_answer, ".http", (b'"F64"', b'"dimension":', b"[", b"{", b"null")
    ),
    "table": Parser(
        _table_seeds, _read_table, ".csv", (b",", b'"', b"\r", b"../", b"/dev/zero", b"\0", b"99999")
    ),
}
