"""Run the commands of a newcomer's first ten minutes, and write what the terminal shows to first-ten-minutes.md.

Run `python docs/first_ten_minutes.py` after a change of the commands, their output or the defaults; it takes a few
minutes. Paths and times are replaced by examples, so that two recordings differ only where the program does.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

PAGE = Path(__file__).parent / "first-ten-minutes.md"

STEPS = (
    ("Which configurations are there? The first one needs no download.", "palimpsest presets | head -4"),
    ("Which attacks can be named?", "palimpsest components attacks | head -8"),
    ("Audit a federation of digits from end to end.", "palimpsest audit digits --out runs/first"),
    (
        "The page can be opened in any browser. It contains the forgotten images, so keep it private.",
        "ls runs/first/*.html",
    ),
    ("List the runs.", "palimpsest runs"),
    ("A mistyped flag, section or name gets an answer.", "palimpsest audit digits --attack.epoch 5"),
    ("", "palimpsest audit digits --attack igf-plus"),
    ("", "palimpsest audit digts"),
    (
        "Use proofs of your own: write a case file, fill it in, and have it checked. Here nothing is filled in yet.",
        "palimpsest init case.yaml",
    ),
    ("", "palimpsest doctor case.yaml"),
    (
        "With the proofs of the run above, and without its models:",
        "palimpsest doctor --proofs runs/first/proofs.safetensors --auxiliary digits",
    ),
    (
        "Remove models, proofs and images when they are no longer needed. The scores stay.",
        "palimpsest purge runs/first",
    ),
    ("", "palimpsest runs"),
)
"""A sentence and a command for each step; an empty sentence continues the previous step."""

_HEAD = """# The first ten minutes

This is what a terminal shows at the first use of Palimpsest. The commands were run as they stand here;
`docs/first_ten_minutes.py` records the page. The [tutorial](tutorial.md) explains the results.

Install, from a clone of the repository:

```console
$ make install
$ source .venv/bin/activate
```
"""
_NORMALIZED = (
    (re.compile(r"\d+(\.\d+)? s, peak \d+\.\d GiB"), "12.3 s, peak 0.6 GiB"),
    (re.compile(r"in \d\S* s per sample"), "in 0.01 s per sample"),
)


def record(folder: Path) -> str:
    """Run all steps in a folder and return the page.

    Args:
        folder: An empty folder.
    """
    parts = [_HEAD]
    for sentence, command in STEPS:
        if sentence:
            parts.append(f"{sentence}\n")
        parts.append(f"```console\n$ {command}\n{_output(command, folder)}```\n")
    return "\n".join(parts)


def commands() -> list[list[str]]:
    """Return the arguments of each command of this package, without pipes."""
    split = [shlex.split(command.partition(" | ")[0]) for _, command in STEPS]
    return [words[1:] for words in split if words[0] == "palimpsest"]


def _output(command: str, folder: Path) -> str:
    """Run a command and return what it prints, without this machine's paths and times."""
    environment = os.environ | {"COLUMNS": "110", "NO_COLOR": "1", "TORCH_HOME": str(folder / "no-weights")}
    python = f'palimpsest() {{ {shlex.quote(sys.executable)} -m palimpsest "$@"; }}'
    done = subprocess.run(
        ["bash", "-c", f"{python}\n{command}"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    text = done.stdout.replace(str(folder), "~")
    for pattern, example in _NORMALIZED:
        text = pattern.sub(example, text)
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        PAGE.write_text(record(Path(place)), encoding="utf-8")
