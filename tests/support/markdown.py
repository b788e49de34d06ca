"""Code blocks and command lines of a Markdown page."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(
    r'^```(?P<language>\w*)(?: title="(?P<title>[^"]+)")?\n(?P<code>.*?)^```$', re.MULTILINE | re.DOTALL
)
_INDENTED = re.compile(r"^    (?P<line>.*\S)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """Fenced block.

    Args:
        language: Language after the fence, such as `python`.
        title: File name in the block's title; empty if the block is not a file.
        code: Lines between the fences.
    """

    language: str
    title: str
    code: str


def page_name(path: Path) -> str:
    """Return the page's path in the repository."""
    return str(path.relative_to(ROOT))


def read_blocks(path: Path) -> list[Block]:
    """Return all fenced blocks of a page, in order."""
    text = path.read_text(encoding="utf-8")
    return [Block(match["language"], match["title"] or "", match["code"]) for match in _FENCE.finditer(text)]


def files(path: Path) -> list[Block]:
    """Return the blocks that are files."""
    return [block for block in read_blocks(path) if block.title]


def snippets(path: Path, language: str) -> list[str]:
    """Return the code of each block in a language that is not a file."""
    return [block.code for block in read_blocks(path) if block.language == language and not block.title]


def join_lines(code: str) -> list[str]:
    """Return the commands of a console block, without prompts and comments, with continued lines joined."""
    lines = [line.strip().removeprefix("$ ") for line in code.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def commands(path: Path) -> list[str]:
    """Return each `palimpsest ...` command of a page, in fenced blocks first and then in indented ones."""
    text = path.read_text(encoding="utf-8")
    blocks = [*snippets(path, "console"), *snippets(path, "bash")]
    blocks.append("\n".join(match["line"] for match in _INDENTED.finditer(_FENCE.sub("", text))))
    return [line for line in join_lines("\n".join(blocks)) if line.startswith("palimpsest ")]
