"""Draw docs/threat-models.svg and docs/stages.svg: boxes with text, and labeled arrows between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

_STYLE = """
text { font: 14px system-ui, sans-serif; fill: #24211d }
.title { font-weight: 600 }
.label { font-size: 13px; fill: #5d564d }
.box { fill: #fbf8f3; stroke: #8b7355; stroke-width: 1.5 }
.attacker { fill: #fdeee6; stroke: #b3501f }
.secret { fill: #eef3f8; stroke: #3f6b96 }
.arrow { stroke: #5d564d; stroke-width: 1.5; fill: none; marker-end: url(#end) }
.paper { fill: #ffffff }
"""
_LINE, _TOP = 20, 24


@dataclass(frozen=True)
class Box:
    """A box with a title and lines of text.

    Args:
        x: Left edge in pixels.
        y: Upper edge in pixels.
        width: In pixels.
        title: The first line.
        lines: The lines below.
        kind: `box`, `attacker` or `secret`, which choose the color.
    """

    x: int
    y: int
    width: int
    title: str
    lines: Sequence[str] = ()
    kind: str = "box"

    @property
    def height(self) -> int:
        """The height in pixels, from the number of lines."""
        return _TOP + _LINE * len(self.lines) + 14

    def draw(self) -> str:
        """Return the box as SVG."""
        texts = [f'<text class="title" x="{self.x + 12}" y="{self.y + _TOP}">{escape(self.title)}</text>']
        for number, line in enumerate(self.lines, start=1):
            texts.append(
                f'<text x="{self.x + 12}" y="{self.y + _TOP + _LINE * number}">{escape(line)}</text>'
            )
        rectangle = f'<rect x="{self.x}" y="{self.y}" width="{self.width}" height="{self.height}" rx="6"'
        return f'{rectangle} class="box {self.kind}"/>\n' + "\n".join(texts)


@dataclass(frozen=True)
class Arrow:
    """An arrow through some points, with a label.

    Args:
        points: Corners as (x, y) in pixels, at least two.
        label: The text beside the arrow; may be empty.
        at: Where the label begins, in pixels.
    """

    points: Sequence[tuple[int, int]]
    label: str = ""
    at: tuple[int, int] = (0, 0)

    def draw(self) -> str:
        """Return the arrow as SVG."""
        path = "M" + " L".join(f"{x} {y}" for x, y in self.points)
        text = f'<text class="label" x="{self.at[0]}" y="{self.at[1]}">{escape(self.label)}</text>'
        return f'<path class="arrow" d="{path}"/>' + (text if self.label else "")


def threat_models() -> str:
    """Return the picture of who holds what, and who sends what to whom."""
    server = ["layers, and the parameters before", "and after unlearning;", "public images"]
    auditor = [
        "the proofs; an oracle; auxiliary images",
        "igf-white: also the layers",
        "linkage: also candidates",
    ]
    shapes = [
        Box(20, 30, 275, "Clients", ["their own training data,", "the forgotten samples among it"], "secret"),
        Box(20, 250, 275, "Server", server, "attacker"),
        Box(560, 30, 330, "Auditor", auditor, "attacker"),
        Box(560, 250, 330, "Oracle", ["both models; returns the gradient", "difference of any sample it receives"]),
        Box(560, 420, 330, "Scores", ["the only place where reconstructions", "and forgotten samples meet"]),
        Arrow([(295, 60), (556, 60)], "one proof per forgotten sample", (320, 50)),
        Arrow([(145, 108), (145, 246)], "gradients or updates of batches,", (155, 160)),
        Arrow([(145, 244), (145, 246)], "before and after unlearning", (155, 178)),
        Arrow([(640, 132), (640, 246)], "samples", (575, 195)),
        Arrow([(780, 246), (780, 132)], "differences", (790, 195)),
        Arrow([(890, 80), (930, 80), (930, 460), (894, 460)], "reconstructions", (795, 375)),
        Arrow([(145, 348), (145, 460), (556, 460)], "reconstructions", (300, 450)),
    ]  # fmt: skip
    return picture(960, 530, "Who holds what, and who sends what to whom", shapes)


def stages() -> str:
    """Return the picture of an audit's stages, in the order in which they run."""
    names = [
        ("Train", ["a federation on the data"]),
        ("Unlearn", ["sample, class or client;", "exact or approximate"]),
        ("Prove", ["one gradient difference", "per forgotten sample"]),
        ("Defend", ["optional: obfuscate", "the proofs"]),
        ("Verify", ["norm check, and three", "stronger verifiers"]),
        ("Attack", ["reconstruct; the originals", "are out of reach"]),
        ("Score", ["compare with the", "forgotten samples"]),
        ("Report", ["verdict, scores, intervals,", "settings"]),
    ]
    shapes: list[Box | Arrow] = []
    for index, (title, lines) in enumerate(names):
        row, column = divmod(index, 4)
        kind = "attacker" if title == "Attack" else "box"
        shapes.append(Box(20 + 235 * column, 20 + 130 * row, 200, f"{index + 1}. {title}", lines, kind))
        if column < 3:
            shapes.append(Arrow([(220 + 235 * column, 58 + 130 * row), (251 + 235 * column, 58 + 130 * row)]))
    shapes.append(Arrow([(825, 98), (825, 124), (120, 124), (120, 146)]))
    return picture(945, 250, "The stages of an audit", shapes)


def picture(width: int, height: int, title: str, shapes: Sequence[Box | Arrow]) -> str:
    """Return an SVG document.

    Args:
        width: In pixels.
        height: In pixels.
        title: What the picture shows, for screen readers.
        shapes: Drawn in this order.
    """
    marker = (
        '<marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0 L8 4 L0 8 z" fill="#5d564d"/></marker>'
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
            f'aria-label="{escape(title)}">',
            f"<title>{escape(title)}</title><style>{_STYLE}</style><defs>{marker}</defs>",
            f'<rect class="paper" width="{width}" height="{height}"/>',
            *(shape.draw() for shape in shapes),
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    folder = Path(__file__).parent
    (folder / "threat-models.svg").write_text(threat_models(), encoding="utf-8")
    (folder / "stages.svg").write_text(stages(), encoding="utf-8")
