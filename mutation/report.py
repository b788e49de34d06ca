"""What the tests noticed, and what they did not."""

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path

from mutation.targets import Target

_EXPLAINED = Path(__file__).parent / "explained.toml"


@dataclass(frozen=True)
class Explanations:
    """Mutants that no test can or need notice, with the reason.

    Args:
        reasons: By file and mutant.
    """

    reasons: dict[str, dict[str, str]]

    @classmethod
    def read(cls, path: Path = _EXPLAINED) -> "Explanations":
        """Read the list beside the runner."""
        tree = tomllib.loads(path.read_text())
        return cls({file: {one["mutant"]: one["reason"] for one in found} for file, found in tree.items()})

    def reason(self, file: str, mutant: str) -> str | None:
        """Why this one may survive, or None."""
        return self.reasons.get(file, {}).get(mutant)


def print_report(name: str, target: Target, path: Path, explanations: Explanations) -> int:
    """Print a target's score and its unexplained survivors; returns their number."""
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
        f"{name}: {tried} mutants, {killed} killed ({share}), {explained} explained, {len(unexplained)} not",
        flush=True,
    )
    print("\n".join(unexplained), flush=True)
    return len(unexplained)
