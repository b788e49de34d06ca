"""Targets of mutation testing: source files, and the tests that must detect their mutants."""

from dataclasses import dataclass
from pathlib import Path

_SOURCE = Path(__file__).parents[1] / "src"


@dataclass(frozen=True)
class Target:
    """Source files and their tests.

    Args:
        files: Paths relative to the repository's root.
        tests: Paths of test files or folders, also relative to the root.
    """

    files: tuple[str, ...]
    tests: tuple[str, ...]

    @staticmethod
    def module(file: str) -> str:
        """Return the module name of a source file."""
        return ".".join(Path(file).with_suffix("").parts[1:])


def package(name: str, *more: str) -> Target:
    """Make the target of a package with its folder of tests.

    Args:
        name: Name of the package.
        more: Paths of additional tests.
    """
    folder = _SOURCE / "palimpsest" / name
    files = sorted(path for path in folder.glob("*.py") if path.name != "__init__.py")
    return Target(tuple(str(path.relative_to(_SOURCE.parent)) for path in files), (f"tests/{name}", *more))


TARGETS: dict[str, Target] = {
    "metrics": package("metrics"),
    "proofs": package("proofs"),
    "defenses": package("defenses"),
    "reduction": package("reduction"),
    "views": Target(
        tuple(f"src/palimpsest/attacks/{name}.py" for name in ("auditor_view", "server_view", "linkage")),
        (
            "tests/attacks/test_linkage.py",
            "tests/attacks/test_auditor_view.py",
            "tests/attacks/test_server_view.py",
        ),
    ),
    "scoring": Target(
        (
            "src/palimpsest/pipeline/results/rates.py",
            "src/palimpsest/pipeline/results/metrics_json.py",
            "src/palimpsest/pipeline/stages/scoring.py",
            "src/palimpsest/pipeline/stages/verification.py",
        ),
        (
            "tests/pipeline/results",
            "tests/pipeline/stages/test_scoring.py",
            "tests/pipeline/stages/test_verification.py",
        ),
    ),
}
"""Targets by their name on the command line."""
