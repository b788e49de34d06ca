"""Draw docs/architecture.svg from the package's imports: python docs/architecture.py.

Boxes are folders and root modules of `src/palimpsest`. Rows are the layers of the import contract in pyproject.toml.
Arrows are imports; an import that a path of other arrows implies is left out.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import combinations, pairwise
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "architecture.svg"
CAPTIONS = {
    "cli": "commands",
    "api": "Python functions",
    "doctor": "check the inputs",
    "reproduce": "published tables",
    "pipeline": "audits, step by step",
    "artifacts": "what a user supplies",
    "comparison": "compare runs",
    "membership": "shadow federations",
    "attacks": "auditor and server",
    "bounds": "limits of any attack",
    "unlearning": "methods, scenarios",
    "flower": "audit a Flower app",
    "report": "one HTML page",
    "oracles": "answer queries",
    "federation": "train in rounds",
    "proofs": "file and verifiers",
    "metrics": "scores and tests",
    "gradients": "per-sample gradients",
    "reduction": "fewer coordinates",
    "models": "classifiers",
    "datasets": "images, rows, text",
    "defenses": "change a proof",
    "runs": "run folder, manifest",
    "config": "schema and presets",
    "storage": "tensors on disk",
    "system": "memory, devices",
    "progress": "lines, logs, trackers",
    "registry": "components by name",
    "display": "notebooks, text",
    "distribution": "name for pip, extras",
    "errors": "typed, with advice",
    "randomness": "named generators",
}
BOX_WIDTH, BOX_HEIGHT, ROW_HEIGHT = 132.0, 46.0, 92.0
BOX_GAP, LINE_GAP, MARGIN = 18.0, 16.0, 28.0
SWEEPS = 40
COLORS = (
    "#7b4a2d",
    "#8a5a36",
    "#996b3f",
    "#8c7a45",
    "#73814f",
    "#55815f",
    "#3f7b70",
    "#38708a",
    "#47639b",
    "#5f579c",
    "#6f5085",
)
STYLE = (
    "text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;text-anchor:middle}"
    ".name{font-size:15px;font-weight:600;fill:#2b2420}.caption{font-size:11px;fill:#5d534c}"
    ".arrow{fill:none;stroke-width:1.3;opacity:.75}.box{fill:#fff;stroke-width:1.5}"
)

Edge = tuple[str, str]
# A node is a folder, or the point at which a long arrow crosses a layer: "cli>runs@4".
Rows = list[list[str]]


def layers() -> Rows:
    """Read the layers of the import contract, from top to bottom."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    contracts = tools["importlinter"]["contracts"]
    (contract,) = [contract for contract in contracts if contract["type"] == "layers"]
    return [[name.strip() for name in layer.split("|")] for layer in contract["layers"]]


def imports(rows: Rows) -> set[Edge]:
    """Return the imports from a folder to a lower one, including those for annotations; lint rejects all others."""
    level = {name: number for number, row in enumerate(rows) for name in row}
    graph = grimp.build_graph("palimpsest", cache_dir=None)
    edges = set[Edge]()
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            source, target = f"{module}.".split(".")[1], f"{imported}.".split(".")[1]
            # The package's __init__ and __main__ belong to no layer.
            if source in level and level[source] < level.get(target, -1):
                edges.add((source, target))
    return edges


def essential(edges: set[Edge]) -> list[Edge]:
    """Return the transitive reduction: the edges that no path of other edges implies."""

    def reach(name: str) -> set[str]:
        below = {target for source, target in edges if source == name}
        return below.union(*map(reach, below))

    shadowed = {(source, far) for source, target in edges for far in reach(target)}
    return sorted(edges - shadowed)


def route(rows: Rows, edges: Sequence[Edge]) -> tuple[Rows, dict[Edge, list[str]]]:
    """Add a node wherever an arrow crosses a layer; return the new rows and the nodes along each arrow."""
    level = {name: number for number, row in enumerate(rows) for name in row}
    routed, paths = [list(row) for row in rows], dict[Edge, list[str]]()
    for source, target in edges:
        crossed = {
            number: f"{source}>{target}@{number}" for number in range(level[source] + 1, level[target])
        }
        for number, place in crossed.items():
            routed[number].append(place)
        paths[source, target] = [source, *crossed.values(), target]
    return routed, paths


def arrange(rows: Rows, links: Sequence[Edge]) -> Rows:
    """Order each row by the mean positions of its neighbors, which reduces crossings (Sugiyama et al., 1981)."""
    best, current = rows, rows
    for sweep in range(SWEEPS):
        order = {name: index / max(1, len(row) - 1) for row in current for index, name in enumerate(row)}
        down = sweep % 2 == 0
        reordered = list[list[str]]()
        for row in current if down else reversed(current):
            means = {
                name: _mean([order[end] for end in _beside(name, links, above=down)], order[name])
                for name in row
            }
            reordered.append(sorted(row, key=lambda name: (means[name], name)))
            order |= {name: index / max(1, len(row) - 1) for index, name in enumerate(reordered[-1])}
        current = reordered if down else reordered[::-1]
        best = min(best, current, key=lambda candidate: crossings(candidate, links))
    return best


def crossings(rows: Rows, links: Sequence[Edge]) -> int:
    """Count the crossing pairs of links between neighboring rows."""
    order = {name: (number, index) for number, row in enumerate(rows) for index, name in enumerate(row)}
    ends = [(*order[source], order[target][1]) for source, target in links]
    return sum(
        one[0] == other[0] and (one[1] - other[1]) * (one[2] - other[2]) < 0
        for one, other in combinations(ends, 2)
    )


def horizontal_centers(rows: Rows, links: Sequence[Edge]) -> dict[str, float]:
    """Place each node horizontally near its neighbors, with gaps between boxes."""
    centers = dict[str, float]()
    for row in rows:
        centers |= _spread(row, dict.fromkeys(row, 0.0))
    for sweep in range(SWEEPS):
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            neighbors = {
                name: _beside(name, links, above=down) + _beside(name, links, above=not down) for name in row
            }
            desired = {name: _mean([centers[end] for end in neighbors[name]], centers[name]) for name in row}
            centers |= _spread(row, desired)
    return centers


def _spread(row: Sequence[str], desired: Mapping[str, float]) -> dict[str, float]:
    """Return the centers nearest to the desired ones that keep order and gaps (isotonic least squares)."""
    offsets = [0.0]
    for left, right in pairwise(row):
        gap = BOX_GAP if _is_folder(left) and _is_folder(right) else LINE_GAP
        offsets.append(offsets[-1] + (_width(left) + _width(right)) / 2 + gap)
    pools = list[list[float]]()
    for name, offset in zip(row, offsets, strict=True):
        pools.append([desired[name] - offset])
        while len(pools) > 1 and _mean(pools[-2]) > _mean(pools[-1]):
            pools[-2:] = [pools[-2] + pools[-1]]
    shifts = [_mean(pool) for pool in pools for _ in pool]
    return {name: shift + offset for name, shift, offset in zip(row, shifts, offsets, strict=True)}


def draw() -> str:
    """Draw the picture as SVG."""
    rows = layers()
    names = [name for row in rows for name in row]
    edges = essential(imports(rows))
    routed, paths = route(rows, edges)
    links = [link for path in paths.values() for link in pairwise(path)]
    ordered = arrange(routed, links)
    centers = horizontal_centers(ordered, links)
    left = min(centers[name] - _width(name) / 2 for name in centers) - MARGIN
    width = max(centers[name] + _width(name) / 2 for name in centers) + MARGIN - left
    spots = {
        name: (centers[name] - left, MARGIN + ROW_HEIGHT * number)
        for number, row in enumerate(ordered)
        for name in row
    }
    height = 2 * MARGIN + ROW_HEIGHT * (len(rows) - 1) + BOX_HEIGHT
    colors = {name: COLORS[number % len(COLORS)] for number, row in enumerate(rows) for name in row}
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img">',
        "<title>The folders of palimpsest by layer, with the imports between them</title>",
        f"<style>{STYLE}</style>",
        f'<rect width="{width:.0f}" height="{height:.0f}" rx="10" fill="#faf6f1"/>',
        *_bands(len(rows), width),
        *_arrows(paths, spots, colors),
        *(line for name in names for line in _box(name, *spots[name], colors[name])),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _bands(count: int, width: float) -> Iterator[str]:
    for number in range(count):
        top = MARGIN + ROW_HEIGHT * number - 9
        yield (
            f'<rect x="10" y="{top:.0f}" width="{width - 20:.0f}" height="{BOX_HEIGHT + 18:.0f}" rx="8" '
            f'fill="{COLORS[number % len(COLORS)]}" opacity=".09"/>'
        )


def _arrows(
    paths: Mapping[Edge, Sequence[str]], spots: Mapping[str, tuple[float, float]], colors: Mapping[str, str]
) -> Iterator[str]:
    ports = _ports([link for path in paths.values() for link in pairwise(path)], spots)
    for (source, target), path in paths.items():
        curve, color = "", colors[source]
        for start, end in pairwise(path):
            x, top = ports[start, end, "from"], spots[start][1] + BOX_HEIGHT
            to_x, bottom = ports[start, end, "to"], spots[end][1] - (5 if end == target else 0)
            middle = (top + bottom) / 2
            curve += f"{'L' if curve else 'M'}{x:.1f} {top:.1f}"
            curve += f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {bottom:.1f}"
        yield f'<path class="arrow" stroke="{color}" d="{curve}"/>'
        yield f'<path fill="{color}" d="M{ports[path[-2], target, "to"]:.1f} {spots[target][1]:.1f}l-3.5 -7h7z"/>'


def _ports(
    links: Sequence[Edge], spots: Mapping[str, tuple[float, float]]
) -> dict[tuple[str, str, str], float]:
    """Place the ends of the links at each box side by side, in the order of their other ends."""
    ports = dict[tuple[str, str, str], float]()
    for name, (center, _) in spots.items():
        for side in ("from", "to"):
            near, far = (0, 1) if side == "from" else (1, 0)
            ends = sorted(
                (link for link in links if link[near] == name), key=lambda link: spots[link[far]][0]
            )
            step = min(20.0, (BOX_WIDTH - 24) / max(1, len(ends) - 1)) if _is_folder(name) else 0.0
            for index, link in enumerate(ends):
                ports[*link, side] = center + step * (index - (len(ends) - 1) / 2)
    return ports


def _box(name: str, center: float, top: float, color: str) -> Iterator[str]:
    yield (
        f'<rect class="box" x="{center - BOX_WIDTH / 2:.1f}" y="{top:.1f}" width="{BOX_WIDTH:.0f}" '
        f'height="{BOX_HEIGHT:.0f}" rx="7" stroke="{color}"/>'
    )
    yield f'<text class="name" x="{center:.1f}" y="{top + 20:.1f}">{escape(name)}</text>'
    yield f'<text class="caption" x="{center:.1f}" y="{top + 36:.1f}">{escape(CAPTIONS[name])}</text>'


def _beside(name: str, links: Sequence[Edge], *, above: bool) -> list[str]:
    near, far = (1, 0) if above else (0, 1)
    return [link[far] for link in links if link[near] == name]


def _is_folder(name: str) -> bool:
    return "@" not in name


def _width(name: str) -> float:
    return BOX_WIDTH if _is_folder(name) else 0.0


def _mean(values: Sequence[float], default: float = 0.0) -> float:
    return sum(values) / len(values) if values else default


if __name__ == "__main__":
    PICTURE.write_text(draw(), encoding="utf-8")
