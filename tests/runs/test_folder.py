from pathlib import Path

from palimpsest.config import AuditConfig, build_config
from palimpsest.runs import default_folder


def configured(seed: int = 1) -> AuditConfig:
    return build_config({"data": {"name": "digits"}, "seed": seed})


def test_folder_depends_on_the_configuration() -> None:
    assert default_folder("digits", configured()) == default_folder("digits", configured())
    assert default_folder("digits", configured()) != default_folder("digits", configured(seed=2))


def test_folder_has_the_name_of_the_preset_or_file() -> None:
    folder = default_folder("cases/mine.yaml", configured())
    assert folder.parent == Path("runs")
    assert folder.name.startswith("mine-")
    assert folder == default_folder("mine", configured())
