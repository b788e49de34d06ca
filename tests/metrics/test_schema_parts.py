import json

import pytest
from pydantic import ValidationError

from palimpsest.metrics.schema_parts import (
    FederationMetrics,
    PartMetrics,
    ScoreMeans,
    SoundnessMetrics,
    VerificationMetrics,
)

MEANS = {"count": 10, "mse": 0.02, "identification_top1": 0.5, "identification_top5": 1.0}


def test_an_unknown_key_is_refused() -> None:
    tree = {"original_accuracy": 0.9, "unlearned_accuracy": 0.8, "participation": [2, 1], "faults": 0}
    assert FederationMetrics.model_validate(tree).participation == [2, 1]
    with pytest.raises(ValidationError, match="strange"):
        FederationMetrics.model_validate(tree | {"strange": 1})


def test_a_section_is_frozen() -> None:
    means = ScoreMeans.model_validate(MEANS)
    with pytest.raises(ValidationError, match="frozen"):
        means.mse = 0.0  # type: ignore[misc] # The test needs the error.


def test_a_score_is_a_number_or_none() -> None:
    means = ScoreMeans.model_validate(MEANS | {"own_metric": 2.5, "lpips_reason": "rows have none"})
    assert means.score("mse") == 0.02
    assert means.score("own_metric") == 2.5
    assert means.score("ssim") is None
    assert means.score("no such metric") is None
    assert means.score("lpips_reason") is None
    assert means.score("names") is None, "a method is not a score"


def test_names_lists_the_available_scores() -> None:
    means = ScoreMeans.model_validate(MEANS | {"own_metric": 2.5, "lpips_reason": "rows have none"})
    assert means.names() == ["mse", "identification_top1", "identification_top5", "own_metric"]
    part = PartMetrics.model_validate(MEANS | {"intervals": {"mse": (0.01, 0.03)}})
    assert "intervals" not in part.names()


def test_an_additional_metric_must_be_a_number() -> None:
    with pytest.raises(ValidationError, match="own_metric"):
        ScoreMeans.model_validate(MEANS | {"own_metric": "large"})


def test_count_is_accepted_plus_rejected() -> None:
    assert VerificationMetrics(tau=1.0, accepted=7, rejected=3).count == 10


def test_a_section_reads_back_from_json() -> None:
    area = (0.5, 0.4, 0.6)
    soundness = SoundnessMetrics(areas={"norm": {"zeros": area}}, needs={"norm": "tau"}, worst={"norm": area})
    assert SoundnessMetrics.model_validate(json.loads(soundness.model_dump_json())) == soundness
