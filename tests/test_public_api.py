"""What `import palimpsest` promises: its names and signatures, that it is light, and that it shows itself."""

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
    """The section of what no release holds yet."""
    return re.split(r"^## ", changelog, flags=re.MULTILINE)[1:][0] if "## Unreleased" in changelog else ""


def unmentioned(released: dict[str, str], now: dict[str, str], section: str) -> list[str]:
    """Names that were added, removed or changed since the release, of which the section says nothing."""
    changed = {name for name in released.keys() | now.keys() if released.get(name) != now.get(name)}
    told = set(re.findall(r"`([\w.]+)(?:\([^`]*\))?`", section))
    return sorted(name for name in changed if not _spellings(name) & told)


def _spellings(name: str) -> set[str]:
    """How an entry may name it: in full, from the class on, or by the class alone."""
    short = re.sub(r"^palimpsest\.\w+\.", "", name)
    return {name, short, short.partition(".")[0]}


def test_a_changed_name_or_signature_has_an_entry_in_the_changelog() -> None:
    released = from_text(SNAPSHOT.read_text(encoding="utf-8"))
    section = unreleased(CHANGELOG.read_text(encoding="utf-8"))
    missing = unmentioned(released, describe(), section)
    assert not missing, (
        f"The public API changed at {', '.join(missing)}: name each in CHANGELOG.md under Unreleased, in backticks. "
        "A release writes docs/public-api.txt anew: python -m tests.support.public_api."
    )


def test_the_snapshot_can_be_read_back() -> None:
    assert from_text(as_text(describe())) == describe()
    assert len(describe()) > 100


def test_a_change_without_an_entry_is_noticed() -> None:
    released, section = (
        {"one": "(a: int)", "two": "(b)", "Kind.three": "()"},
        "Unreleased\n\n- `two` is gone.\n",
    )
    assert unmentioned(released, {"one": "(a: str)", "four": "()"}, section) == ["Kind.three", "four", "one"]
    told = section + "- `one(a)` takes text, `four` is new, `Kind` lost `three`.\n"
    assert unmentioned(released, {"one": "(a: str)", "four": "()"}, told) == []


def test_the_reference_has_every_public_name_and_shows_the_function_where_a_module_is_called_the_same() -> (
    None
):
    text = PAGE.read_text(encoding="utf-8")
    shown = re.findall(r"^::: ([\w.]+)$", text, re.MULTILINE)
    told = set(re.findall(r"`(\w+)`", text))
    for name in pp.__all__:
        if name in told:
            continue
        (path,) = [one for one in shown if one.rpartition(".")[2] == name]
        module, _, last = path.rpartition(".")
        assert getattr(importlib.import_module(module), last) is getattr(pp, name)
        # The page is made without running anything: a module would stand before a function of its name.
        assert module != "palimpsest" or importlib.util.find_spec(path) is None


def test_what_extensions_are_made_of_is_promised_too() -> None:
    promised = describe()
    for name in ("attacks.Attack", "defenses.Defense", "metrics.Metric", "flower.ProofMod"):
        assert f"palimpsest.{name}" in promised
    assert "palimpsest.attacks.Attack.__call__" in promised
    changed = promised | {"palimpsest.attacks.Attack.__call__": "(self)"}
    assert unmentioned(promised, changed, "") == ["palimpsest.attacks.Attack.__call__"]
    assert unmentioned(promised, changed, "- `Attack` takes nothing.") == []


def test_every_listed_name_is_there_once_and_in_order() -> None:
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


def test_importing_takes_no_time_and_brings_nothing_heavy() -> None:
    told = subprocess.run([sys.executable, "-c", _IMPORT], capture_output=True, check=True, text=True)
    seconds, *modules = told.stdout.split()
    assert float(seconds) < 2
    heavy = {"torch", "torchvision", "ray", "flwr", "pandas", "matplotlib", "sklearn", "mlflow", "wandb"}
    assert not heavy & set(modules)


_NAMES = """
import sys
import palimpsest.doctor, palimpsest.report.page, palimpsest.reproduce, palimpsest.runs
import palimpsest as pp
for name in pp.__all__:
    assert type(getattr(pp, name)).__name__ != "module", name
assert not {"torchvision", "ray", "flwr", "pandas"} & set(sys.modules)
"""


def test_a_module_never_stands_in_the_place_of_a_function_of_its_name() -> None:
    told = subprocess.run([sys.executable, "-c", _NAMES], capture_output=True, check=False, text=True)
    assert told.returncode == 0, told.stderr
