from pathlib import Path
from typing import Any

import pytest

from palimpsest.artifacts.config import read_artifacts_config
from palimpsest.errors import ConfigurationError

ARTIFACTS = {"proofs": "proofs.safetensors", "auxiliary": "images"}


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"proofs": None}, "give either proofs"),
        ({"gradients": "gradients.safetensors"}, "give either proofs"),
        ({"auxiliary": None}, "auxiliary"),
        ({"auxilliary": "images"}, "auxilliary"),
        ({"channels": 2}, "give 1 for gray images or 3"),
        ({"oracle": {"query_budget": 0}}, "query_budget"),
        ({"image_size": 3}, "image_size"),
    ],
)
def test_rejects_missing_unknown_and_invalid_keys(keys: dict[str, Any], words: str) -> None:
    tree = {name: value for name, value in (ARTIFACTS | keys).items() if value is not None}
    with pytest.raises(ConfigurationError, match=words):
        read_artifacts_config(None, tree)


def test_keys_take_precedence_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "artifacts.yaml"
    path.write_text("proofs: a.safetensors\nauxiliary: images\nseed: 3\noracle: {batch_size: 7}\n")
    config = read_artifacts_config(path, {"seed": 5, "oracle": {"query_budget": 9}})
    assert (config.seed, config.oracle.batch_size, config.oracle.query_budget) == (5, 7, 9)
    path.write_text("auxiliary: images\n")
    with pytest.raises(ConfigurationError, match=str(path)):
        read_artifacts_config(path)


def test_attacked_file_is_the_given_one() -> None:
    assert read_artifacts_config(None, ARTIFACTS).attacked_file == Path("proofs.safetensors")
    gradients = {"gradients": "gradients.safetensors", "auxiliary": "images"}
    assert read_artifacts_config(None, gradients).attacked_file == Path("gradients.safetensors")
