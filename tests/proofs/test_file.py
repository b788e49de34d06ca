import json
import os
import pickle
import stat

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

from palimpsest.errors import PalimpsestError, ProofError
from palimpsest.proofs import Proofs, load_proofs, save_proofs

CLAIMS = {"original": "ab12", "unlearned": "cd34", "loss": "cross_entropy", "defenses": '[{"name": "sign"}]'}


@pytest.fixture
def vectors():
    return torch.randn(5, 7, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "proofs.safetensors"


def forged(path, header, body=b""):
    """Write a file with a given header, which may be wrong, and a body."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    return path


def described(shape, size, dtype="F32", start=0, **others):
    return {"vectors": {"dtype": dtype, "shape": shape, "data_offsets": [start, size]}, **others}


def rewrite_metadata(path, **changes):
    with safe_open(path, framework="pt") as file:
        tensors, metadata = {"vectors": file.get_tensor("vectors").clone()}, file.metadata()
    save_file(tensors, path, {**metadata, **changes})


@pytest.mark.parametrize("metadata", [{}, CLAIMS])
def test_reads_back_what_was_written(path, vectors, metadata):
    save_proofs(path, Proofs(vectors, metadata))
    proofs = load_proofs(str(path))
    assert torch.equal(proofs.vectors, vectors)
    assert proofs.metadata == metadata
    assert proofs.attested == bool(metadata)


def test_save_and_load_use_the_proof_file(path, vectors):
    Proofs(vectors, CLAIMS).save(path)
    assert Proofs.load(path).metadata == CLAIMS


def test_safetensors_can_read_the_tensor_and_its_description(path, vectors):
    save_proofs(path, Proofs(vectors, CLAIMS))
    with safe_open(path, framework="pt") as file:
        assert list(file.keys()) == ["vectors"]
        assert torch.equal(file.get_tensor("vectors"), vectors)
        metadata = file.metadata()
    assert metadata.items() >= CLAIMS.items()
    assert (metadata["count"], metadata["dimension"], metadata["dtype"]) == ("5", "7", "float32")


def test_only_the_owner_can_read_the_file(path, vectors):
    save_proofs(path, Proofs(vectors))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_writes_views_and_transposes(path, vectors):
    for view in (vectors[1:4], vectors[:, ::2], vectors.T):
        save_proofs(path, Proofs(view, CLAIMS))
        assert torch.equal(load_proofs(path).vectors, view)


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"count": "99"}])
def test_a_file_of_another_format_is_unattested(path, vectors, metadata):
    save_file({"vectors": vectors}, path, metadata)
    proofs = load_proofs(path)
    assert torch.equal(proofs.vectors, vectors)
    assert not proofs.attested
    assert proofs.metadata == {}


@pytest.mark.parametrize("name", ["count", "dimension", "dtype", "sha256"])
def test_refuses_metadata_that_contradict_the_tensor(path, vectors, name):
    save_proofs(path, Proofs(vectors, CLAIMS))
    rewrite_metadata(path, **{name: "6"})
    with pytest.raises(ProofError, match=rf"contradict its tensor: its {name} is '\w+', but they say '6'"):
        load_proofs(path)


def test_refuses_an_exchanged_tensor(path, vectors):
    save_proofs(path, Proofs(vectors, CLAIMS))
    content = bytearray(path.read_bytes())
    content[-1] ^= 0x80  # the sign of the last value
    path.write_bytes(content)
    with pytest.raises(ProofError, match="sha256"):
        load_proofs(path)


def test_refuses_a_later_format(path, vectors):
    save_proofs(path, Proofs(vectors, CLAIMS))
    rewrite_metadata(path, format="palimpsest-proofs-2")
    with pytest.raises(ProofError, match="'palimpsest-proofs-2'"):
        load_proofs(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_refuses_values_that_are_not_finite_and_names_the_proof(path, vectors, value):
    vectors[3, 2] = value
    with pytest.raises(ProofError, match="Proof 3 of"):
        save_proofs(path, Proofs(vectors))
    assert not path.exists()
    save_file({"vectors": vectors}, path)
    with pytest.raises(ProofError, match="Proof 3 of"):
        load_proofs(path)


@pytest.mark.parametrize(
    "tensors",
    [
        {"vectors": torch.zeros(3)},
        {"vectors": torch.zeros(2, 3, 4)},
        {"vectors": torch.zeros(2, 3, dtype=torch.float64)},
        {"vectors": torch.zeros(2, 3, dtype=torch.int64)},
        {"vectors": torch.zeros(0, 3)},
        {"vectors": torch.zeros(2, 3), "more": torch.zeros(1)},
        {"gradients": torch.zeros(2, 3)},
        {},
    ],
)
def test_refuses_anything_but_one_float32_matrix(path, tensors):
    save_file(tensors, path)
    with pytest.raises(ProofError):
        load_proofs(path)


@pytest.mark.parametrize(
    "header",
    [
        described([10**9, 10**9], 4 * 10**18),
        described([10**9, 10**9], 24),
        described([2, 3], 4 * 10**18),
        described([2, 4], 24),
        described([10**4000, 10**4000], 24),
        described([-2, -3], 24),
        described([True, 6], 24),
        described([2.0, 3], 24),
        described([2, 3], 24, dtype="BF16"),
        described([2, 3], 24, start=8),
        described([2, 3], 24, __metadata__={"format": 3}),
        described([2, 3], 24, __metadata__=["palimpsest"]),
        {"vectors": None},
        [1, 2],
        b"\xff\xfe",
        b"[" * 100_000,
        b"{" + b'"a":' * 10,
    ],
)
def test_refuses_a_wrong_header_without_allocating_its_sizes(path, header):
    with pytest.raises(ProofError):
        load_proofs(forged(path, header, bytes(24)))


@pytest.mark.parametrize("content", [b"", b"\x01", bytes(7), (2**63).to_bytes(8, "little"), bytes(8)])
def test_refuses_a_file_that_is_too_short_for_its_header(path, content):
    path.write_bytes(content)
    with pytest.raises(ProofError, match="not a proof file"):
        load_proofs(path)


def test_recognizes_a_file_of_torch_save(path):
    torch.save({"vectors": torch.zeros(2, 3)}, path)
    with pytest.raises(ProofError, match=r"zip archive, as written by torch\.save"):
        load_proofs(path)


def test_refuses_a_header_of_many_mebibytes(path):
    with pytest.raises(ProofError, match="can't hold a header"):
        load_proofs(forged(path, json.dumps(described([2, 3], 24)).encode().ljust(2**21), bytes(24)))


def test_never_unpickles(path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(path) + ".exploded",)

    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ProofError):
        load_proofs(path)
    torch.save({"vectors": torch.zeros(2, 3), "bomb": Bomb()}, path)
    with pytest.raises(ProofError):
        load_proofs(path)
    assert not path.with_name(path.name + ".exploded").exists()


@pytest.mark.parametrize("name", ["absent.safetensors", "."])
def test_names_a_missing_file(tmp_path, name):
    with pytest.raises(ProofError, match="no proof file"):
        load_proofs(tmp_path / name)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_refused_or_read_as_finite_float32(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damaged") / "proofs.safetensors"
    save_file({"vectors": torch.ones(2, 3)}, path, {"format": "pt"})
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        vectors = load_proofs(path).vectors
    except PalimpsestError:
        return
    assert vectors.dtype == torch.float32
    assert vectors.isfinite().all()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Proofs(torch.zeros(3)),
        lambda: Proofs(torch.zeros(2, 3, dtype=torch.float64)),
        lambda: Proofs(torch.zeros(2, 3), {"count": 2}),
    ],
)
def test_proofs_are_a_float32_matrix_with_string_metadata(make):
    with pytest.raises(ProofError):
        make()


def test_refuses_to_save_zero_proofs(path):
    with pytest.raises(ProofError, match=r"\(0, 3\)"):
        save_proofs(path, Proofs(torch.zeros(0, 3)))


def test_names_a_proof_that_is_not_finite_beyond_the_first_block(path, vectors, monkeypatch):
    monkeypatch.setattr("palimpsest.proofs.file._BLOCK", 14)  # blocks of 2 proofs
    broken = vectors.clone()
    broken[4, 6] = torch.nan
    save_file({"vectors": broken}, path)
    with pytest.raises(ProofError, match="Proof 4 of"):
        load_proofs(path)


def test_a_frame_contains_the_norm_of_each_proof(vectors):
    broken = vectors.clone()
    broken[2, 0] = torch.inf
    frame = Proofs(broken).to_frame()
    assert frame["finite"].tolist() == [True, True, False, True, True]
    assert frame["norm"].tolist() == pytest.approx(broken.double().norm(dim=1).tolist(), rel=1e-12)


def test_a_notebook_shows_the_senders_claims_or_their_absence(vectors):
    assert "there are no claims" in Proofs(vectors)._repr_html_()
    shown = Proofs(vectors, CLAIMS)._repr_html_()
    assert "5 proofs with 7 coordinates" in shown
    assert "cross_entropy" in shown
    assert "no claims" not in shown


def test_accepts_a_single_coordinate(path):
    save_proofs(path, Proofs(torch.tensor([[0.5]])))
    assert load_proofs(path).vectors.tolist() == [[0.5]]


def test_refuses_a_repeated_name(path, vectors):
    tensor = f'{{"dtype": "F32", "shape": [5, 7], "data_offsets": [0, {vectors.numel() * 4}]}}'
    header = f'{{"vectors": {tensor}, "vectors": {tensor}}}'.encode()
    header += b" " * (-len(header) % 8)
    path.write_bytes(len(header).to_bytes(8, "little") + header + vectors.numpy().tobytes())
    with pytest.raises(ProofError, match="repeats a name"):
        load_proofs(path)


def test_a_notebook_escapes_the_senders_claims() -> None:
    hostile = Proofs(torch.ones(1, 2), {"<script>": "<img src=x onerror=alert(1)>" + "x" * 10_000})
    shown = hostile._repr_html_()
    assert "<script>" not in shown
    assert "<img" not in shown
    assert len(shown) < 3_000
