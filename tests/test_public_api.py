"""The public API: names, signatures, changelog entries, the reference page, and a light import."""

import importlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.public_api import PAGE, SNAPSHOT, as_text, describe, from_text

import palimpsest as pp

CHANGELOG = Path(__file__).parents[1] / "CHANGELOG.md"


def unreleased(changelog: str) -> str:
    """Return the section of changes that are not released yet."""
    return re.split(r"^## ", changelog, flags=re.MULTILINE)[1:][0] if "## Unreleased" in changelog else ""


def unmentioned(released: dict[str, str], now: dict[str, str], section: str) -> list[str]:
    """Return names that were added, removed or changed since the release and that the section does not mention."""
    changed = {name for name in released.keys() | now.keys() if released.get(name) != now.get(name)}
    mentioned = set(re.findall(r"`([\w.]+)(?:\([^`]*\))?`", section))
    return sorted(name for name in changed if not _spellings(name) & mentioned)


def _spellings(name: str) -> set[str]:
    """Return the accepted spellings of a name: in full, from the class on, or the class alone."""
    short = re.sub(r"^palimpsest\.\w+\.", "", name)
    return {name, short, short.partition(".")[0]}


def test_changelog_names_every_changed_name_and_signature() -> None:
    released = from_text(SNAPSHOT.read_text(encoding="utf-8"))
    section = unreleased(CHANGELOG.read_text(encoding="utf-8"))
    missing = unmentioned(released, describe(), section)
    assert not missing, (
        f"The public API changed at {', '.join(missing)}. Name each in CHANGELOG.md under Unreleased, in backticks. "
        "A release updates docs/public-api.txt: python -m tests.support.public_api."
    )


def test_snapshot_can_be_read_back() -> None:
    assert from_text(as_text(describe())) == describe()
    assert len(describe()) > 100


def test_finds_changes_without_an_entry() -> None:
    released, section = (
        {"one": "(a: int)", "two": "(b)", "Kind.three": "()"},
        "Unreleased\n\n- `two` is gone.\n",
    )
    assert unmentioned(released, {"one": "(a: str)", "four": "()"}, section) == ["Kind.three", "four", "one"]
    complete = section + "- `one(a)` takes text, `four` is new, `Kind` lost `three`.\n"
    assert unmentioned(released, {"one": "(a: str)", "four": "()"}, complete) == []


def test_reference_has_every_public_name() -> None:
    text = PAGE.read_text(encoding="utf-8")
    documented = re.findall(r"^::: ([\w.]+)$", text, re.MULTILINE)
    mentioned = set(re.findall(r"`(\w+)`", text))
    for name in pp.__all__:
        if name in mentioned:
            continue
        (path,) = [entry for entry in documented if entry.rpartition(".")[2] == name]
        module, _, last = path.rpartition(".")
        assert getattr(importlib.import_module(module), last) is getattr(pp, name)
        # The page is generated without running code, so a module would hide a function of the same name.
        assert module != "palimpsest" or importlib.util.find_spec(path) is None


def test_extension_points_are_public() -> None:
    public = describe()
    for name in ("attacks.Attack", "defenses.Defense", "metrics.Metric", "flower.ProofMod"):
        assert f"palimpsest.{name}" in public
    assert "palimpsest.attacks.Attack.__call__" in public
    changed = public | {"palimpsest.attacks.Attack.__call__": "(self)"}
    assert unmentioned(public, changed, "") == ["palimpsest.attacks.Attack.__call__"]
    assert unmentioned(public, changed, "- `Attack` takes nothing.") == []


def test_listed_names_exist_once() -> None:
    assert len(set(pp.__all__)) == len(pp.__all__)
    assert set(pp.__all__) <= set(dir(pp))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = pp.nothing  # type: ignore[attr-defined]


_IMPORT = """
import sys, time
start = time.process_time()
import palimpsest
seconds = time.process_time() - start
print(seconds, *sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_import_is_fast_and_loads_no_heavy_package() -> None:
    process = subprocess.run([sys.executable, "-c", _IMPORT], capture_output=True, check=True, text=True)
    seconds, *modules = process.stdout.split()
    assert float(seconds) < 2
    heavy = {"torch", "torchvision", "ray", "flwr", "pandas", "matplotlib", "sklearn", "mlflow", "wandb"}
    assert not heavy & set(modules)


_NAMES = """
import sys
import palimpsest.report.page, palimpsest.runs.purge, palimpsest.pipeline.audit, palimpsest.reproduce.run
import palimpsest.cli.main, palimpsest.cli.configured, palimpsest.cli.reproduce
from palimpsest.cli.contents import COMMANDS, import_command
for name in COMMANDS:
    import_command(name)
import palimpsest as pp
for name in pp.__all__:
    assert type(getattr(pp, name)).__name__ != "module", name
slow = {"torchvision", "torchmetrics", "ray", "flwr", "pandas", "sklearn", "matplotlib"}
slow |= {"scipy.optimize", "scipy.stats"}
assert not slow & set(sys.modules), slow & set(sys.modules)
"""


def test_modules_do_not_replace_functions_of_the_same_name() -> None:
    process = subprocess.run([sys.executable, "-c", _NAMES], capture_output=True, check=False, text=True)
    assert process.returncode == 0, process.stderr
