from pathlib import Path
from typing import Any

import pytest
import torch
from tests.support.artifacts import NO_MODELS, Make, load
from tests.support.counting_oracle import CountingOracle

from palimpsest.artifacts.oracle import OracleSource
from palimpsest.attacks import Reconstruction
from palimpsest.errors import ConfigurationError, OracleError
from palimpsest.pipeline.attack import attack
from palimpsest.pipeline.results.result import AuditResult
from palimpsest.proofs import Proofs, save_proofs


def images_of(result: AuditResult) -> torch.Tensor:
    return Reconstruction.load(result.folder / "reconstructions.safetensors").images


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (NO_MODELS, "has no oracle"),
        ({"oracle": {"source": "nowhere"}}, "not a file or folder"),
        ({"oracle": {"source": "http://example.org"}}, "in the clear"),
        ({"oracle": {"source": "https://127.0.0.1:1"}}, "needs a token"),
    ],
)
def test_rejects_invalid_sources(
    case: Make, here: Path, keys: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PALIMPSEST_ORACLE_TOKEN", raising=False)
    with pytest.raises(ConfigurationError, match=words):
        load(case(**keys), here)


def test_fingerprint_depends_on_whatever_changes_the_answers(
    case: Make, here: Path, counting_oracle: CountingOracle
) -> None:
    def opened(**oracle: Any) -> OracleSource:
        return load(case(oracle=oracle), here).oracle_source

    models, function = opened(), opened(source=counting_oracle.source)
    assert (models.source, models.classes) == ("the two checkpoints", 3)
    assert (function.source, function.classes) == ("the function own_oracle:answers", None)
    rounded = opened(source=counting_oracle.source, storage_dtype="bfloat16")
    assert len({models.fingerprint, function.fingerprint, rounded.fingerprint}) == 3
    # The batch size does not change the answers.
    assert opened(source=counting_oracle.source, batch_size=5).fingerprint == function.fingerprint


def test_names_a_function_that_fails(case: Make, here: Path) -> None:
    (here / "own_nets.py").write_text(
        (here / "own_nets.py").read_text() + "\ndef fails(images, labels): return 1 / 0\n"
    )
    held = load(case(oracle={"source": "own_nets:fails"}, **NO_MODELS), here)
    with pytest.raises(OracleError, match=r"own_nets:fails failed \(ZeroDivisionError"):
        list(held.oracle_source.oracle.differences(held.auxiliary.inputs, held.auxiliary.labels))


def test_function_and_checkpoints_give_the_same_attack(
    case: Make, here: Path, counting_oracle: CountingOracle
) -> None:
    expected = attack(case(), out=here / "models")
    result = attack(case(oracle={"source": counting_oracle.source}, **NO_MODELS), out=here / "own")
    assert torch.equal(images_of(result), images_of(expected))


def test_precomputed_gradients_cover_only_the_auxiliary_images(
    case: Make, here: Path, pieces: Path, counting_oracle: CountingOracle
) -> None:
    auxiliary = load(case(), here).auxiliary
    vectors = counting_oracle.answers(auxiliary.images, auxiliary.labels)
    (here / "gradients").mkdir()
    save_proofs(here / "gradients" / "1.safetensors", Proofs(vectors[:20]))
    save_proofs(here / "gradients" / "2.safetensors", Proofs(vectors[20:]))
    result = attack(case(oracle={"source": "gradients"}, **NO_MODELS), out=here / "files")
    assert result.metrics.attack["queries"] == len(auxiliary) == 48
    single = attack(case(attack=case().attack.model_dump() | {"queries": 1}), out=here / "models")
    assert torch.equal(images_of(result), images_of(single))
    limited = case(oracle={"source": "gradients", "query_budget": 30}, **NO_MODELS)
    assert attack(limited, out=here / "limited").metrics.attack["queries"] == 30


def test_resumed_run_repeats_no_query(case: Make, here: Path, counting_oracle: CountingOracle) -> None:
    config = case(
        oracle={"source": counting_oracle.source, "batch_size": 10, "query_budget": 96}, **NO_MODELS
    )
    counting_oracle.fail_after = 60
    with pytest.raises(OracleError, match="cut"):
        attack(config, out=here / "run")
    counting_oracle.fail_after = 10**9
    result = attack(config, out=here / "run")
    assert sum(counting_oracle.asked) == 96
    counting_oracle.asked.clear()
    whole = attack(config, out=here / "whole")
    assert torch.equal(images_of(result), images_of(whole))


def test_caches_answers_separately_for_each_storage_dtype(
    case: Make, here: Path, counting_oracle: CountingOracle
) -> None:
    for storage_dtype in ("float32", "bfloat16", "bfloat16"):
        config = case(
            oracle={"source": counting_oracle.source, "query_budget": 48, "storage_dtype": storage_dtype},
            **NO_MODELS,
        )
        attack(config, out=here / "run", replace=True)
    assert sum(counting_oracle.asked) == 96
