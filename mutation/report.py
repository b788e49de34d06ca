"""Report of killed and surviving mutants."""

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path

from mutation.targets import Target

_EXPLAINED = Path(__file__).parent / "explained.toml"


@dataclass(frozen=True)
class Explanations:
    """Mutants that tests can't or need not detect, with the reasons.

    Args:
        reasons: Reason by file and mutant.
    """

    reasons: dict[str, dict[str, str]]

    @classmethod
    def read(cls, path: Path = _EXPLAINED) -> "Explanations":
        """Read the explanations; by default those in explained.toml."""
        tree = tomllib.loads(path.read_text())
        return cls(
            {file: {entry["mutant"]: entry["reason"] for entry in entries} for file, entries in tree.items()}
        )

    def reason(self, file: str, mutant: str) -> str | None:
        """Return the reason why a mutant may survive, or None if there is none."""
        return self.reasons.get(file, {}).get(mutant)


def print_report(name: str, target: Target, path: Path, explanations: Explanations) -> int:
    """Print a target's score and its unexplained survivors.

    Args:
        name: The target's name.
        target: The target.
        path: File of its results.
        explanations: Explanations of survivors.

    Returns:
        The number of unexplained survivors.
    """
    results: dict[str, dict[str, str]] = json.loads(path.read_text()) if path.exists() else {}
    tried = killed = explained = 0
    unexplained: list[str] = []
    for file in target.files:
        for mutant, result in results.get(file, {}).items():
            tried += 1
            if result in ("killed", "timeout"):
                killed += 1
            elif explanations.reason(file, mutant):
                explained += 1
            else:
                unexplained.append(f"  {file}: {mutant} [{result}]")
    share = f"{killed / tried:.1%}" if tried else "-"
    print(
        f"{name}: {tried} mutants, {killed} killed ({share}), {explained} explained, {len(unexplained)} unexplained",
        flush=True,
    )
    print("\n".join(unexplained), flush=True)
    return len(unexplained)
