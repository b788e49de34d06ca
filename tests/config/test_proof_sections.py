from pathlib import Path

import pytest
from pydantic import ValidationError

from palimpsest.config import AuditConfig, ProofsConfig, VerificationConfig, build_config, read_config
from palimpsest.errors import ConfigurationError


def test_a_proof_belongs_to_a_sample_unless_asked_otherwise() -> None:
    assert not AuditConfig().proofs.aggregated
    # Configurations from before this section keep the text that identifies their runs.
    assert "granularity" not in AuditConfig().to_yaml()
    assert "granularity: federation" in build_config({"proofs": {"granularity": "federation"}}).to_yaml()


@pytest.mark.parametrize("granularity", ["sample", "federation"])
def test_a_group_size_belongs_to_a_client(granularity: str) -> None:
    assert build_config({"proofs": {"granularity": "client", "group_size": 4}}).proofs == ProofsConfig(
        granularity="client", group_size=4
    )
    with pytest.raises(ConfigurationError, match=f"group_size is 4, but granularity is {granularity}"):
        build_config({"proofs": {"granularity": granularity, "group_size": 4}})


def test_a_group_has_at_least_one_sample() -> None:
    with pytest.raises(ConfigurationError, match="group_size"):
        build_config({"proofs": {"granularity": "client", "group_size": 0}})


def test_an_override_of_the_granularity_drops_the_group_size(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("proofs: {granularity: client, group_size: 4}\n")
    config = read_config(str(path), {"proofs": {"granularity": "federation"}})
    assert config.proofs == ProofsConfig(granularity="federation")


@pytest.mark.parametrize("tau", [0, -1, "calibrate"])
def test_tau_is_positive_or_calibrated(tau: object) -> None:
    assert VerificationConfig().tau == "calibrated"
    with pytest.raises(ValidationError, match="tau"):
        VerificationConfig.model_validate({"tau": tau})
