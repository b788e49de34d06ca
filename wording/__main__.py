"""Check the language: `python -m wording check`, `messages`, or `sample --kind docstring --count 30 --seed 1`."""

import argparse
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

from wording.messages import read_messages
from wording.phrases import Found, Phrases
from wording.text import Text, read_texts

_ROOT = Path(__file__).parents[1]
_PROSE = {".py", ".md", ".html"}
_HISTORY = ("CHANGELOG.md", "docs/public-api.txt", "wording/")
"""Files that quote former names, or list the phrases themselves."""


def main() -> int:
    """Run the check, or print messages or a sample of texts; end with 1 if the check finds a refused phrase."""
    parser = argparse.ArgumentParser(prog="python -m wording", description=__doc__)
    parser.add_argument("command", choices=("check", "messages", "sample"))
    parser.add_argument("paths", nargs="*", help="files and folders to read; by default all that git lists")
    parser.add_argument("--kind", choices=("docstring", "message", "paragraph"), default="docstring")
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    files = list(listed(chosen.paths))
    if chosen.command == "check":
        found = [
            phrase for file in files for phrase in Phrases().search(checked(file)) if not allowed(phrase)
        ]
        print("\n".join(map(str, found)) if found else f"No refused phrase in {len(files)} files.")
        return 1 if found else 0
    kind = "message" if chosen.command == "messages" else chosen.kind
    texts = [text for file in files for text in texts_of(file, kind)]
    if chosen.command == "sample":
        texts = random.Random(chosen.seed).sample(texts, min(chosen.count, len(texts)))
    for text in texts:
        print(f"{text.path}:{text.line}: {' '.join(text.words.split())}")
    return 0


def allowed(found: Found) -> bool:
    """Return True if the phrase's line ends with the comment `wording: allow`, as part of a seed has to."""
    lines = found.text.path.read_text(encoding="utf-8").splitlines()
    return lines[found.line - 1].endswith("wording: allow")


def listed(paths: list[str]) -> Iterator[Path]:
    """Yield the files with prose that git lists below the paths, sorted.

    Args:
        paths: Files and folders relative to the project's root; empty means the whole project.
    """
    command = [
        "git",
        "-C",
        str(_ROOT),
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "--",
        *paths,
    ]
    names = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    for name in sorted(names):
        path = _ROOT / name
        if path.suffix in _PROSE and not name.startswith(_HISTORY) and path.is_file():
            yield path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def checked(file: Path) -> Iterator[Text]:
    """Yield the texts of a file to check: all texts, but no strings and names of tests."""
    test = "tests" in file.parts
    for text in read_texts(file):
        if not test or text.kind in ("docstring", "comment", "test"):
            yield text


def texts_of(file: Path, kind: str) -> Iterator[Text]:
    """Yield the texts of one kind in a file of the package or the documentation."""
    if kind == "message":
        yield from read_messages(file) if file.suffix == ".py" and "src" in file.parts else ()
    else:
        yield from (text for text in read_texts(file) if text.kind == kind and "tests" not in file.parts)


if __name__ == "__main__":
    raise SystemExit(main())
