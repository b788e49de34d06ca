"""What is mutated, and the tests that are to notice it."""

from dataclasses import dataclass
from pathlib import Path

_SOURCE = Path(__file__).parents[1] / "src"


@dataclass(frozen=True)
class Target:
    """Source files and their tests.

    Args:
        files: Paths from the repository's root.
        tests: Test files or folders, from there too.
    """

    files: tuple[str, ...]
    tests: tuple[str, ...]

    @staticmethod
    def module(file: str) -> str:
        """The name under which a source file is imported."""
        return ".".join(Path(file).with_suffix("").parts[1:])


def package(name: str, *more: str) -> Target:
    """All files of a package with its folder of tests."""
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
"""By the name that the command line takes."""
