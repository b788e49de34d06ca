"""Readers of tensors: proofs, models, gradients, and an oracle's answers."""

import zipfile
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import safetensors.torch
import torch
from fuzz.parser import Parser
from torch import nn

from palimpsest.artifacts.models import Models
from palimpsest.artifacts.observation import read_observation
from palimpsest.config import ObservationConfig
from palimpsest.datasets import ImageSet
from palimpsest.errors import OracleError, PalimpsestError
from palimpsest.federation import Round, Training
from palimpsest.models.checkpoint import read_checkpoint
from palimpsest.oracles import Endpoint, PrecomputedOracle, RecordedOracle, RemoteOracle
from palimpsest.oracles.http import PROTOCOL, Description
from palimpsest.proofs import Proofs, load_proofs, save_proofs
from palimpsest.storage import read_tensors, tensor_hash


def _proof_seeds(folder: Path) -> list[bytes]:
    vectors = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    claims = {"original": "ab", "unlearned": "cd", "loss": "cross_entropy", "defenses": "[]"}
    save_proofs(folder / "attested", Proofs(vectors, claims))
    save_proofs(folder / "plain", Proofs(vectors * 1e-40))  # These are denormal numbers.
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
    """Read the file as a user's model, and as a stage of a run."""
    with suppress(PalimpsestError):
        read_checkpoint(path)
    tensors, _ = read_tensors(path)
    tensor_hash(*tensors.values())
    Training.load(path)


def _torch_seeds(folder: Path) -> list[bytes]:
    """Return whole archives, and their pickles alone, because the archive's checksums detect most damage to these."""
    weights = {"a.weight": torch.randn(2, 3), "b.steps": torch.tensor(7), "c.half": torch.ones(4).half()}
    torch.save(weights, folder / "zip")
    torch.save({"state_dict": weights, "epoch": 3}, folder / "nested")
    archives = [folder / "zip", folder / "nested"]
    return [path.read_bytes() for path in archives] + [_pickle_of(path) for path in archives]


def _pickle_of(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return next(archive.read(name) for name in archive.namelist() if name.endswith("/data.pkl"))


def _read_torch(path: Path) -> None:
    """Read the file as an archive, or pack it as the pickle of a new archive with a correct checksum."""
    if path.read_bytes()[:1] != b"\x80":
        read_checkpoint(path)
        return
    archive = path.with_suffix(".archive")
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a/data.pkl", path.read_bytes())
        file.writestr("a/version", b"3\n")
        file.writestr("a/byteorder", b"little")
        for index in range(3):
            file.writestr(f"a/data/{index}", bytes(24))
    read_checkpoint(archive)


def _precomputed_seeds(_: Path) -> list[bytes]:
    vectors, other = torch.arange(24.0).view(4, 6), torch.ones(4, 6, dtype=torch.float64)
    stored = (
        {"vectors": vectors},
        {"original": vectors, "unlearned": vectors.half().float()},
        {"vectors": other},
    )
    return [safetensors.torch.save(tensors) for tensors in stored]


def _read_precomputed(path: Path) -> None:
    queries = ImageSet(
        "queries", torch.arange(16.0).view(4, 1, 2, 2) / 16, torch.zeros(4, dtype=torch.int64), 1
    )
    answers = list(PrecomputedOracle(path, queries).differences(queries.images, queries.labels))
    assert torch.cat(answers).isfinite().all()


_DESCRIPTION = Description(
    protocol=PROTOCOL, dimension=6, shape=(1, 2, 2), classes=2, models="ab", largest_batch=8
)


def _answer_seeds(_: Path) -> list[bytes]:
    """Return an answer and the description of an endpoint."""
    return [
        safetensors.torch.save({"vectors": torch.arange(24.0).view(4, 6)}),
        _DESCRIPTION.model_dump_json().encode(),
    ]


def _read_answer(path: Path) -> None:
    """Use the file as everything that an endpoint sends: first its description, then its answer."""
    endpoint = Endpoint("http://127.0.0.1:9", "token")
    content = path.read_bytes()
    with patch("palimpsest.oracles.http._send", lambda *_: content):
        with suppress(OracleError):
            RemoteOracle.connect(endpoint)
        answer = RemoteOracle(endpoint, _DESCRIPTION)(
            torch.rand(4, 1, 2, 2), torch.zeros(4, dtype=torch.int64)
        )
    assert answer.shape == (4, 6)
    assert answer.isfinite().all()


def _gradient_seeds(_: Path) -> list[bytes]:
    """Return a server's gradients as vectors, as a tensor for each parameter, and with labels."""
    vectors = torch.arange(16.0).view(2, 8)
    flat = {"gradients_before": vectors, "updates_after": -vectors}
    named = {
        f"gradients_{when}/{name}": torch.ones(2, *shape)
        for when in ("before", "after")
        for name, shape in (("weight", (2, 3)), ("bias", (2,)))
    }
    labels = {
        "labels_retained": torch.zeros(2, 4, dtype=torch.int64),
        "labels_forgotten": torch.ones(2, 1, dtype=torch.uint8),
    }
    files = (flat, named, flat | labels, named | labels)
    return [safetensors.torch.save(tensors) for tensors in files]


def _read_gradients(path: Path) -> None:
    model = nn.Linear(3, 2)
    observation = read_observation(path, ObservationConfig(), Models(model, model, model, 2)).observation
    assert observation.gradients_before.shape == observation.gradients_after.shape
    assert observation.difference.dtype == torch.float32


def _cached_seeds(_: Path) -> list[bytes]:
    keys = torch.arange(64, dtype=torch.uint8).view(4, 16)
    return [safetensors.torch.save({"keys": keys, "vectors": torch.arange(24.0).view(4, 6)})]


def _read_cached(path: Path) -> None:
    """Use the file as a run's cached answers, and query samples that may be among them."""
    folder = path.with_suffix(".cached")
    folder.mkdir(exist_ok=True)
    (folder / "answers-0.safetensors").write_bytes(path.read_bytes())
    oracle = RecordedOracle(
        lambda images, _: torch.zeros(len(images), 6), 6, folder=folder, batch_size=4, budget=4
    )
    with patch("palimpsest.oracles.cached.sample_key", lambda *_: bytes(range(16))):
        answers = list(oracle.differences(torch.rand(2, 1, 2, 2), torch.zeros(2, dtype=torch.int64)))
    assert torch.cat(answers).isfinite().all()


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
    "gradients": Parser(
        _gradient_seeds,
        _read_gradients,
        ".safetensors",
        (b'"F64"', b'"C64"', b'"BOOL"', b'"U64"', b'"shape":[', b"updates_before", b"[]"),
    ),
    "cached answers": Parser(
        _cached_seeds, _read_cached, ".safetensors", (b'"U8"', b'"F32"', b'"I64"', b'"shape":[', b"[0,16]")
    ),
}
