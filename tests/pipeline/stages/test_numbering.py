"""Every source of labels ends in the model's numbers or in one sentence: `prove`, then `attack` and `doctor`."""

import csv
import json
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from tests.support.artifacts import Make, load

from palimpsest.api.verification import verify
from palimpsest.artifacts.config import ProveConfig
from palimpsest.cli import main
from palimpsest.config import validate
from palimpsest.doctor import examine
from palimpsest.errors import DatasetError, ModelError, PalimpsestError
from palimpsest.models import read_checkpoint
from palimpsest.pipeline.stages.prove import make_proofs
from palimpsest.proofs import Proofs, load_proofs, save_proofs

NAMES = ["class0", "class1", "class2"]
TURNED = ["class2", "class0", "class1"]
BINARY = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(64, 1))
"""
ONE_LABEL = {"list": [[0, 2]] * 4, "one-hot": [[0, 1, 0]] * 4, "text": ["0 2"] * 4}


@pytest.fixture
def prove(models: dict[str, Any], here: Path) -> Callable[..., Proofs]:
    """Return a function that proves samples of a path."""
    return lambda samples, **keys: make_proofs(
        validate(ProveConfig, models | {"samples": str(samples)} | keys, where="test")
    )


def pictures(pieces: Path, count: int = 4) -> list[Path]:
    return sorted((pieces / "forgotten" / "class1").glob("*.png"))[:count]


def write_parquet(path: Path, files: list[Path], labels: list[Any], names: list[str] | None = None) -> Path:
    table = pa.table({"image": [file.read_bytes() for file in files], "label": labels})
    if names:
        features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, path)
    return path


def write_list(folder: Path, files: list[Path], labels: list[Any]) -> Path:
    folder.mkdir()
    for file in files:
        shutil.copy(file, folder)
    with (folder / "metadata.csv").open("w", newline="") as table:
        rows = [(file.name, label) for file, label in zip(files, labels, strict=True)]
        csv.writer(table).writerows([("file_name", "label"), *rows])
    return folder


def by_autograd(pieces: Path, here: Path, files: list[Path], label: int) -> torch.Tensor:
    """Recompute proofs without any code of this package but the reading of checkpoints."""
    namespace: dict[str, Any] = {}
    exec((here / "own_nets.py").read_text(), namespace)
    rows = []
    for file in files:
        pixels = torch.frombuffer(bytearray(Image.open(file).tobytes()), dtype=torch.uint8)
        image, gradients = pixels.view(1, 1, 8, 8) / 255, []
        for name in ("original.pt", "unlearned.safetensors"):
            network = namespace["Net"]().eval()
            network.load_state_dict(read_checkpoint(pieces / name)[0].tensors)
            torch.nn.functional.cross_entropy(network(image), torch.tensor([label])).backward()
            gradients.append(torch.cat([parameter.grad.flatten() for parameter in network.parameters()]))
        rows.append(gradients[0] - gradients[1])
    return torch.stack(rows)


def assert_proves(proofs: Proofs, expected: torch.Tensor) -> None:
    torch.testing.assert_close(proofs.vectors, expected, rtol=1e-3, atol=2e-4)


@pytest.mark.parametrize("label", [0, 1, 2])
@pytest.mark.parametrize("source", ["numbers", "names", "list", "list of names", "hub", "folder"])
def test_each_source_gets_the_models_numbers(
    prove: Callable[..., Proofs], pieces: Path, here: Path, source: str, label: int
) -> None:
    files, keys = pictures(pieces), {}
    names = [f"name{number}" for number in (2, 0, 1)]
    if source == "numbers":
        path = write_parquet(here / "a.parquet", files, [label] * 4)
    elif source == "hub":
        path = write_parquet(here / "a.parquet", files, [label] * 4, names)
    elif source == "names":
        path = write_parquet(here / "a.parquet", files, [names[label]] * 4)
    elif source == "list":
        path = write_list(here / "a", files, [label] * 4)
    elif source == "list of names":
        path = write_list(here / "a", files, [names[label]] * 4)
    else:
        path = here / "a"
        shutil.copytree(pieces / "forgotten" / "class1", path / names[label])
        # An empty class folder does not change the other folders' numbers.
        (path / names[(label + 1) % 3]).mkdir()
    if source in ("names", "list of names", "folder"):
        keys = {"class_names": names}
    proofs = prove(path, **keys)
    assert_proves(proofs, by_autograd(pieces, here, files, label))
    if source in ("numbers", "list"):
        assert "classes" not in proofs.metadata
    else:
        assert json.loads(proofs.metadata["classes"]) == names
        assert proofs.metadata["classes_from"] == (
            "the metadata of a.parquet" if source == "hub" else "class_names"
        )


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_model_card_numbers_class_folders(
    prove: Callable[..., Proofs], pieces: Path, here: Path, kind: str
) -> None:
    (here / "saved").mkdir()
    tensors = read_checkpoint(pieces / "original.pt")[0].tensors
    save_file(tensors, here / "saved" / "model.safetensors")
    card = {"id2label": {str(number): name for number, name in enumerate(TURNED)}}
    (here / "saved" / "config.json").write_text(json.dumps(card))
    shutil.copytree(pieces / "forgotten" / "class1", here / "part" / "class1")
    original = here / "saved" / ("" if kind == "folder" else "model.safetensors")
    proofs = prove(here / "part", original=str(original))
    assert_proves(proofs, by_autograd(pieces, here, pictures(pieces), 2))
    assert proofs.metadata["classes_from"] == "id2label of config.json"
    # What the user says comes before the card.
    said = prove(here / "part", original=str(original), class_names=NAMES)
    assert_proves(said, by_autograd(pieces, here, pictures(pieces), 1))
    card = {"problem_type": "multi_label_classification"}
    (here / "saved" / "config.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="multi_label"):
        prove(here / "part", original=str(original))


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        *((values, "several labels") for values in ONE_LABEL.values()),
        ([0.5, 1.5, 2.0, 1.0], "regression"),
        (["ape"] * 4, "unknown which number"),
        ([1, 2, 3, 3], "subtract 1"),
        ([0, 2, 7, 7], "from 0 to 2"),
        ([-1, 1, 1, 1], "label -1 in row 0"),
    ],
)
def test_refuses_labels_that_have_no_number(
    prove: Callable[..., Proofs], pieces: Path, here: Path, labels: list[Any], words: str
) -> None:
    with pytest.raises(DatasetError, match=words):
        prove(write_parquet(here / "a.parquet", pictures(pieces), labels))
    if not isinstance(labels[0], list):
        with pytest.raises(DatasetError, match=words):
            prove(write_list(here / "list", pictures(pieces), labels))


def test_accepts_gaps(prove: Callable[..., Proofs], pieces: Path, here: Path) -> None:
    proofs = prove(write_parquet(here / "a.parquet", pictures(pieces, 2), [2, 2]))
    assert_proves(proofs, by_autograd(pieces, here, pictures(pieces, 2), 2))


def test_class_names_must_name_every_class_once(prove: Callable[..., Proofs], pieces: Path) -> None:
    with pytest.raises(DatasetError, match=r"class_names has 4 classes .* but the model has 3"):
        prove(pieces / "forgotten", class_names=[*NAMES, "more"])
    with pytest.raises(PalimpsestError, match="'class0' occurs twice"):
        prove(pieces / "forgotten", class_names=["class0", "class0", "class1", "class2"])


def test_a_files_own_names_must_be_the_models(prove: Callable[..., Proofs], pieces: Path, here: Path) -> None:
    path = write_parquet(here / "a.parquet", pictures(pieces), [0] * 4, TURNED)
    with pytest.raises(DatasetError, match=r"number +class_names +file\n +0 +class0 +class2\n"):
        prove(path, class_names=NAMES)
    two = write_parquet(here / "b.parquet", pictures(pieces), [0] * 4, NAMES[:2])
    with pytest.raises(DatasetError, match=r"metadata of b.parquet has 2 classes .* but the model has 3"):
        prove(two)
    assert json.loads(prove(two, class_names=NAMES).metadata["classes"]) == NAMES


def test_a_single_logit_is_binary_cross_entropy(pieces: Path, here: Path) -> None:
    (here / "binary.py").write_text(BINARY)
    weights = [torch.randn(1, 64, generator=torch.Generator().manual_seed(seed)) / 8 for seed in (1, 2)]
    for name, weight in zip("ab", weights, strict=True):
        save_file({"1.weight": weight, "1.bias": torch.zeros(1)}, here / f"{name}.safetensors")
    keys = {"original": "a.safetensors", "unlearned": "b.safetensors", "model": "binary.py:Net"}

    def prove(labels: list[int]) -> Proofs:
        path = write_parquet(here / "a.parquet", pictures(pieces), labels)
        return make_proofs(validate(ProveConfig, keys | {"samples": str(path)}, where="test"))

    proofs = prove([0, 1, 1, 0])
    for file, label, vector in zip(pictures(pieces), [0.0, 1.0, 1.0, 0.0], proofs.vectors, strict=True):
        image = torch.frombuffer(
            bytearray(Image.open(BytesIO(file.read_bytes())).tobytes()), dtype=torch.uint8
        )
        image, gradients = image / 255, []
        for weight in weights:
            own, bias = weight.clone().requires_grad_(), torch.zeros(1, requires_grad=True)
            logit = own @ image + bias
            torch.nn.functional.binary_cross_entropy_with_logits(logit, torch.tensor([label])).backward()
            gradients.append(torch.cat([own.grad.flatten(), bias.grad]))
        torch.testing.assert_close(vector, gradients[0] - gradients[1], rtol=1e-4, atol=1e-5)
    for labels, words in (([1, 2, 2, 1], "single logit.*subtract 1"), ([0, 3, 0, 0], "single logit.*0 to 1")):
        with pytest.raises(DatasetError, match=words):
            prove(labels)


def test_a_truth_with_another_numbering_is_an_error_side_by_side(
    case: Make, prove: Callable[..., Proofs], pieces: Path, here: Path
) -> None:
    save_proofs(here / "turned.safetensors", prove(pieces / "forgotten", class_names=TURNED))
    keys = {"proofs": str(here / "turned.safetensors"), "truth": str(pieces / "forgotten")}
    rows = r"number +proofs +samples\n +0 +class2 +class0\n +1 +class0 +class1\n"
    with pytest.raises(DatasetError, match=rows):
        load(case(**keys), here)
    findings = {finding.subject: finding for finding in examine(case(**keys), folder=here / "run")}
    assert findings["truth"].level == "error"
    assert "class_names" in findings["truth"].message
    # The auditor's own samples are only compared: the claim is the sender's.
    (note,) = (note for note in load(case(**keys | {"truth": None}), here).notes if "proofs" in note)
    assert "class2" in note
    assert load(case(**keys, class_names=TURNED), here).truth is not None


def test_a_truth_without_the_models_number_of_folders_is_refused(
    case: Make, pieces: Path, here: Path
) -> None:
    files = sorted((pieces / "images").glob("*/*.png"))
    auxiliary = write_parquet(here / "a.parquet", files, [int(file.parent.name[-1]) for file in files])
    shutil.copytree(pieces / "forgotten", here / "part")
    shutil.move(here / "part" / "class2", here / "part" / "class1" / "deeper")
    with pytest.raises(DatasetError, match=r"has 2 class folders .*Set --class-names"):
        load(case(auxiliary=str(auxiliary), truth=str(here / "part")), here)


def test_proofs_without_a_numbering_are_accepted(case: Make, proofs: Path, pieces: Path, here: Path) -> None:
    made = load_proofs(proofs)
    plain = {name: value for name, value in made.metadata.items() if not name.startswith("classes")}
    save_proofs(here / "plain.safetensors", Proofs(made.vectors, plain))
    keys = {"proofs": str(here / "plain.safetensors"), "truth": str(pieces / "forgotten")}
    assert load(case(**keys), here).truth is not None


def test_verify_compares_the_numberings_of_both_files(
    prove: Callable[..., Proofs], pieces: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, turned = (prove(pieces / "forgotten", class_names=names) for names in (NAMES, TURNED))
    assert verify(plain, calibrate=plain).accepted.any()
    assert verify(plain, calibrate=Proofs(turned.vectors)).accepted.any()
    with pytest.raises(DatasetError, match=r"calibrate: .*\n.*proofs +samples"):
        verify(plain, calibrate=turned)
    for name, proofs in (("plain", plain), ("turned", turned)):
        save_proofs(here / f"{name}.safetensors", proofs)
    with pytest.raises(SystemExit) as stop:
        main(["verify", "plain.safetensors", "--calibrate", "turned.safetensors"])
    assert stop.value.code
    assert "class2" in capsys.readouterr().err
