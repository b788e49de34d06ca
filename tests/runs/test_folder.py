from pathlib import Path

import pytest

from palimpsest.config import AuditConfig, build_config
from palimpsest.errors import RunError
from palimpsest.runs import default_folder
from palimpsest.runs.folder import make_private, refuse_links


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


def test_links_are_refused_and_other_users_are_kept_out(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir(mode=0o755)
    refuse_links(folder)
    make_private(folder)
    assert folder.stat().st_mode & 0o077 == 0
    (folder / "link").symlink_to(tmp_path)
    with pytest.raises(RunError, match="is a link or a special file"):
        refuse_links(folder)
